//! Every fenced block of every page is run by a test, or at least parsed by the program that reads
//! it.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use sentinel::settings::{Settings, Sources};

use super::pages::{Block, all_blocks, root};
use crate::examples::nginx_proxy::{copy, nginx};
use crate::helpers::authority::Authority;
use crate::helpers::{command, sentinel};

/// Blocks that are run unchanged, and the test that runs them.
const RUN: [(&str, &str, &str); 13] = [
    ("README.md", "sh", "tests/it/readme.rs"),
    ("README.md", "bash", "tests/it/compose/running.rs"),
    ("docs/api.md", "sh", "tests/it/management_api/guide.rs"),
    ("docs/databases.md", "js", "tests/it/documents/databases.rs"),
    ("docs/databases.md", "conf", "tests/it/documents/databases.rs"),
    ("docs/install.md", "sh", "tests/it/documents/machine.rs"),
    ("docs/stores.md", "sh", "tests/it/documents/machine.rs"),
    ("docs/upgrade.md", "sh", "tests/it/documents/machine.rs"),
    ("docs/user-import.md", "sh", "tests/it/documents/user_import.rs"),
    ("docs/http.md", "nginx", "tests/it/documents/nginx.rs"),
    ("docs/resource-servers.md", "js", "tests/it/documents/resource_servers.rs"),
    ("docs/settings.md", "console", "tests/it/documents/examples.rs"),
    ("docs/operations.md", "nginx", "tests/it/reload/rolling_restarts.rs"),
];

/// Blocks of commands that are only parsed, and the reason.
const SHOWN: [(&str, &str, &str); 7] = [
    (
        "README.md",
        "console",
        "builds the binary; the quick start that it starts is tests/it/quick_start.rs",
    ),
    ("docs/docker.md", "console", "takes Docker or root; the services run in tests/it/compose/"),
    ("examples/README.md", "console", "the programs are run by tests/it/examples/"),
    (
        "docs/install.md",
        "console",
        "a certificate of Let's Encrypt takes a public name; the package is installed by tests/deb.sh",
    ),
    ("docs/upgrade.md", "console", "the package is upgraded by tests/deb.sh"),
    ("docs/stores.md", "console", "a copy to another store is run by tests/it/store_copy/"),
    ("docs/migration.md", "console", "the import is run by tests/it/flask_sentinel_import/"),
];

/// Languages of blocks that no program reads.
const PLAIN: [&str; 1] = ["text"];

fn finish(mut command: Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// Returns the output of a command that failed.
fn failure_output(output: &Output) -> Option<String> {
    let message = String::from_utf8_lossy(&output.stderr);
    (!output.status.success())
        .then(|| format!("{}{message}", String::from_utf8_lossy(&output.stdout)))
}

#[test]
fn every_block_has_a_language_that_is_checked() {
    let known = ["sh", "bash", "console", "toml", "nginx", "yaml", "json", "js", "conf", "ini"];
    // Checked by tests/it/documents/resource_servers.rs, on that page only.
    let examples = ["java", "properties", "go", "python", "php"];
    for block in all_blocks() {
        if block.page == "docs/resource-servers.md" && examples.contains(&&*block.language) {
            continue;
        }
        let fine = known.contains(&&*block.language) || PLAIN.contains(&&*block.language);
        assert!(fine, "{}: nothing checks a block of {:?}", block.place, block.language);
    }
}

#[test]
fn command_blocks_are_run_by_a_test_or_have_a_stated_reason() {
    for block in all_blocks() {
        let Block { place, page, language, reason, .. } = block;
        if !["sh", "bash", "console", "js", "conf"].contains(&&*language) {
            continue;
        }
        let listed = RUN.iter().chain(&SHOWN).any(|(of, kind, _)| *of == page && *kind == language);
        assert!(
            listed || reason.is_some(),
            "{place} is run by no test: name the test in RUN, or why there is none in SHOWN or, on the \
             page, in a comment before it: <!-- not run: … -->"
        );
    }
}

#[test]
fn tests_that_run_a_page_name_that_page() {
    for (page, language, test) in RUN {
        let text = std::fs::read_to_string(root().join(test)).unwrap();
        let name = page.rsplit('/').next().unwrap();
        let names = text.contains(name) || text.contains(page);
        assert!(names, "{test} runs {page} and does not name it");
        let blocks = super::pages::page(page).blocks();
        assert!(blocks.iter().any(|block| block.language == language), "{page} has no {language}");
    }
    for (page, _, reason) in SHOWN {
        for path in reason.split([' ', ';']).filter(|word| word.starts_with("tests/")) {
            assert!(root().join(path).exists(), "{path} stands for {page} and is not there");
        }
    }
}

/// Returns the commands of a block, without prompts and output.
pub fn commands(block: &Block) -> String {
    if block.language != "console" {
        return block.text.clone();
    }
    let mut commands = String::new();
    let mut goes_on = false;
    for line in block.text.lines() {
        let command = line.strip_prefix("$ ").or_else(|| line.strip_prefix("# "));
        let Some(command) = command.or(goes_on.then_some(line)) else { continue };
        commands.push_str(command);
        commands.push('\n');
        goes_on = line.ends_with('\\');
    }
    assert!(!commands.is_empty(), "{} has no prompt", block.place);
    commands
}

#[test]
fn shell_blocks_are_valid_syntax() {
    let mut checked = 0;
    for block in all_blocks() {
        let shell = match block.language.as_str() {
            "sh" => "sh",
            "bash" | "console" => "bash",
            _ => continue,
        };
        let mut shell = command(shell);
        shell.arg("-n");
        let wrong = failure_output(&finish(shell, &commands(&block)));
        assert_eq!(wrong, None, "{}", block.place);
        checked += 1;
    }
    assert!(checked > 0, "no block was found");
}

#[test]
fn toml_blocks_load_as_settings() {
    let folder = tempfile::tempdir().unwrap();
    let check = |place: &str, text: &str| {
        let file = folder.path().join("sentinel.toml");
        // Only the service can read this path: neither the command line nor `config check` can.
        assert!(!text.contains("/run/credentials"), "{place}");
        // The file of a secret is on another machine.
        let lines = text.lines().map(|line| match line.split_once("_file = \"/") {
            Some((key, _)) => {
                let secret = folder.path().join(key);
                let text = if key == "url" { "rediss://:secret@localhost" } else { "a secret" };
                std::fs::write(&secret, text).unwrap();
                format!("{key}_file = \"{}\"", secret.display())
            }
            None => line.to_owned(),
        });
        std::fs::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
        // The systemd unit supplies this password.
        let names_itself = text.lines().any(|line| line.starts_with("username = "));
        let password = (names_itself && !text.contains("password"))
            .then(|| ("SENTINEL_MONGO__PASSWORD".into(), "a secret".into()));
        // Not `config check`, which reads the certificates, which are on another machine.
        let env = password.into_iter().collect();
        let sources = Sources { file: Some(file), env, ..Sources::default() };
        let wrong = Settings::load(&sources).err().map(|error| error.to_string());
        assert_eq!(wrong, None, "{place}");
    };
    for block in all_blocks().iter().filter(|block| block.language == "toml") {
        check(&block.place, &block.text);
    }
    for file in ["config/default.toml", "config/example.toml", "config/container.toml"] {
        check(file, &std::fs::read_to_string(root().join(file)).unwrap());
    }
}

#[test]
fn json_and_yaml_blocks_parse() {
    let (mut json, mut yaml) = (0, 0);
    for block in all_blocks() {
        let wrong = match block.language.as_str() {
            "json" => {
                json += 1;
                serde_json::from_str::<serde_json::Value>(&block.text).err().map(|e| e.to_string())
            }
            "yaml" => {
                yaml += 1;
                serde_saphyr::from_str::<serde_json::Value>(&block.text)
                    .err()
                    .map(|e| e.to_string())
            }
            _ => None,
        };
        assert_eq!(wrong, None, "{}", block.place);
    }
    assert!(json > 0 && yaml > 0, "{json} blocks of JSON and {yaml} of YAML were found");
}

/// Returns the first word of each line outside of braces.
fn outermost(text: &str) -> Vec<&str> {
    let (mut depth, mut words) = (0_i32, Vec::new());
    for line in text.lines().map(|line| line.split('#').next().unwrap().trim()) {
        if depth == 0 && !line.is_empty() && line != "}" {
            words.extend(line.split_whitespace().next());
        }
        depth += i32::try_from(line.matches('{').count()).unwrap();
        depth -= i32::try_from(line.matches('}').count()).unwrap();
    }
    words
}

#[test]
fn settings_page_shows_the_actual_output_of_config_check() {
    let blocks = super::pages::page("docs/settings.md").blocks();
    let text = &blocks.iter().find(|block| block.language == "console").unwrap().text;
    let (asked, printed) = text.split_once('\n').unwrap();
    let words = asked.strip_prefix("$ sentinel ").unwrap().split(' ');
    let folder = tempfile::tempdir().unwrap();
    let output = sentinel(folder.path()).args(words).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert_eq!(String::from_utf8_lossy(&output.stderr), printed);
}

/// Completes a part of an nginx configuration to a whole one.
pub fn whole(part: &str, authority: &Authority) -> String {
    let words = outermost(part);
    if words.contains(&"http") || words.contains(&"events") {
        return part.to_owned();
    }
    let of_http =
        ["server", "upstream", "map", "limit_req_zone", "limit_conn_zone", "proxy_cache_path"];
    let part = match words.iter().any(|word| of_http.contains(word)) {
        true => part.to_owned(),
        false => format!("server {{\nlisten 127.0.0.1:1;\n{part}\n}}"),
    };
    // The certificates of the example are on another machine.
    let lines = part.lines().map(|line| {
        let directive = line.split_whitespace().next().unwrap_or_default();
        match directive {
            "ssl_certificate" => format!("ssl_certificate {};", authority.path("server.pem")),
            "ssl_certificate_key" => {
                format!("ssl_certificate_key {};", authority.path("server.key"))
            }
            _ => line.to_owned(),
        }
    });
    let part: String = lines.collect::<Vec<_>>().join("\n");
    let upstream = match part.contains("upstream sentinel") {
        true => "",
        false => "upstream sentinel { server 127.0.0.1:5000; }\n",
    };
    let temporary =
        ["client_body_temp_path", "proxy_temp_path", "fastcgi_temp_path", "uwsgi_temp_path"];
    let temporary = temporary.map(|path| format!("{path} temporary;\n")).join("");
    format!(
        "pid nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}\
         scgi_temp_path temporary;\n{upstream}{part}\n}}\n"
    )
}

/// Returns the errors that nginx reports for a part of a configuration.
fn refused_by_nginx(folder: &Path, part: &str) -> Option<String> {
    let authority = Authority::new();
    let file = folder.join("nginx.conf");
    // Files that a part may include, installed as in docs/install.md.
    let parts = folder.join("sentinel");
    std::fs::create_dir_all(&parts).unwrap();
    copy(&parts, 1, 2, "http://127.0.0.1:5000");
    std::fs::write(&file, whole(part, &authority)).unwrap();
    let mut check = nginx(folder, &file);
    check.arg("-t");
    failure_output(&check.output().unwrap())
}

#[test]
fn nginx_blocks_pass_the_configuration_test_of_nginx() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = all_blocks().into_iter().filter(|block| block.language == "nginx");
    let checked: Vec<_> = blocks.map(|block| (block.place, block.text)).collect();
    assert!(checked.len() >= 3);
    for (place, part) in checked {
        assert_eq!(refused_by_nginx(folder.path(), &part), None, "{place}");
        // This location would expose the management page, which is below it.
        assert!(!part.contains("location /oauth/ "), "{place}");
    }
    assert!(refused_by_nginx(folder.path(), "location / { no_such_directive on; }").is_some());
}

#[test]
fn blocks_are_parsed_with_language_place_and_reason() {
    let text = "# A\n\n<!-- not run: it takes a moon -->\n\n```sh\nfly\n```\n\n- b\n\n  ```toml\n  a = 1\n  ```\n";
    let page = super::pages::Page { path: "a.md".into(), text: text.into() };
    let found = page.blocks();
    assert_eq!(found.len(), 2);
    let actual = (found[0].place.as_str(), found[0].language.as_str(), found[0].text.as_str());
    assert_eq!(actual, ("a.md:5", "sh", "fly\n"));
    assert_eq!(found[0].reason.as_deref(), Some("it takes a moon"));
    assert_eq!((found[1].text.as_str(), found[1].reason.as_deref()), ("a = 1\n", None));
    assert_eq!(page.prose().join(""), "# A<!-- not run: it takes a moon -->- b");
    assert!(
        page.joined("sh").contains("fly") && !super::pages::page("README.md").spans().is_empty()
    );
}
