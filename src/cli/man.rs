//! `sentinel man`: prints the manual page.

use clap_mangen::Man;

use super::failure::Failure;
use super::{command, output};

/// Prints one manual page for all commands, so that `man -l` and packagers need only one file.
pub(super) fn run() -> Result<(), Failure> {
    let mut page = Vec::new();
    let mut whole = command();
    whole.build();
    render(&whole, &mut page).map_err(Failure::io)?;
    output::line(String::from_utf8_lossy(&page).trim_end())
}

fn render(whole: &clap::Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    let man = Man::new(whole.clone());
    man.render_title(page)?;
    man.render_name_section(page)?;
    man.render_synopsis_section(page)?;
    man.render_description_section(page)?;
    man.render_options_section(page)?;
    commands(whole, page)?;
    page.extend_from_slice(SETTINGS_AND_CODES.as_bytes());
    man.render_version_section(page)
}

/// Writes a section for each command that has no subcommands.
fn commands(of: &clap::Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    for command in of.get_subcommands().filter(|command| command.get_name() != "help") {
        if command.has_subcommands() {
            commands(command, page)?;
            continue;
        }
        let name = command.get_bin_name().unwrap_or_else(|| command.get_name()).to_uppercase();
        page.extend_from_slice(format!(".SH \"{}\"\n", name.replace('-', "\\-")).as_bytes());
        let man = Man::new(command.clone());
        let mut parts = Vec::new();
        man.render_synopsis_section(&mut parts)?;
        man.render_description_section(&mut parts)?;
        man.render_options_section(&mut parts)?;
        // Within the section of a command, its parts are subsections.
        page.extend_from_slice(String::from_utf8_lossy(&parts).replace(".SH ", ".SS ").as_bytes());
    }
    Ok(())
}

const SETTINGS_AND_CODES: &str = ".SH FILES AND ENVIRONMENT
Settings come from the file that \\fB\\-\\-config\\fR or SENTINEL_CONFIG names, from the environment
(SENTINEL_ and the path of a setting, joined by two underscores) and from \\fB\\-\\-set\\fR.
\\fBsentinel config show\\fR prints those in effect.
.SH EXIT STATUS
.TP
\\fB0\\fR
done
.TP
\\fB64\\fR
the command line makes no sense
.TP
\\fB65\\fR
refused: a name is taken, a value is bad, there is nothing of that name
.TP
\\fB69\\fR
unavailable: the store cannot be opened or fails, an address is taken, the server does not answer
.TP
\\fB74\\fR
reading or writing failed
.TP
\\fB75\\fR
not all of it is done; running it again does the rest
.TP
\\fB78\\fR
the settings are wrong, or a file that they name
";
