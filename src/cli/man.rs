//! `sentinel man`: prints the manual page.

use clap_mangen::Man;

use super::failure::Failure;
use super::output;

/// Prints one manual page for all commands, so that `man -l` and packagers need only one file.
pub(super) fn run(mut command: clap::Command) -> Result<(), Failure> {
    let mut page = Vec::new();
    command.build();
    render(&command, &mut page).map_err(Failure::io)?;
    output::long_text(&String::from_utf8_lossy(&page))
}

fn render(command: &clap::Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    let man = Man::new(command.clone());
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    render_commands(command, page)?;
    page.extend_from_slice(SETTINGS_AND_CODES.as_bytes());
    man.render_version_section(page)
}

/// Writes a section of the manual page for each command that has no subcommands.
fn render_commands(parent: &clap::Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    for command in parent.get_subcommands().filter(|command| command.get_name() != "help") {
        if command.has_subcommands() {
            render_commands(command, page)?;
            continue;
        }
        let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_uppercase();
        page.extend_from_slice(format!(".SH \"{}\"\n", name.replace('-', "\\-")).as_bytes());
        let man = Man::new(command.clone());
        let mut parts = Vec::new();
        man.render_synopsis_section(&mut parts)?;
        man.render_description_section(&mut parts)?;
        man.render_options_section(&mut parts)?;
        man.render_extra_section(&mut parts)?;
        // Within the section of a command, its parts are subsections.
        page.extend_from_slice(String::from_utf8_lossy(&parts).replace(".SH ", ".SS ").as_bytes());
    }
    Ok(())
}

const SETTINGS_AND_CODES: &str = ".SH FILES AND ENVIRONMENT
Settings come from the file that \\fB\\-\\-config\\fR or SENTINEL_CONFIG names, from environment
variables and from \\fB\\-\\-set\\fR; the later of these take precedence. The variable of a setting is
its path in upper case after SENTINEL_, with two underscores for each dot: SENTINEL_STORE__PATH.
\\fBsentinel config show\\fR prints the settings in effect.
.SH EXIT STATUS
.TP
\\fB0\\fR
success
.TP
\\fB64\\fR
the command line is invalid
.TP
\\fB65\\fR
the request is refused: a name is taken, a value is invalid, or a record does not exist
.TP
\\fB69\\fR
unavailable: the store cannot be opened or fails, an address is taken, or the server does not
answer or is not ready
.TP
\\fB74\\fR
reading or writing failed; if the result of a change cannot be printed, the change is made
.TP
\\fB75\\fR
the work is incomplete; running the command again completes it
.TP
\\fB78\\fR
the settings, or a file that they name, are invalid
";
