//! Drop-ins for systemd units in the documents, checked by systemd with the unit of
//! `docs/systemd/`.

use std::fs;
use std::process::Command;

use super::pages::{all_blocks, root};
use crate::helpers::SETUP;

/// Returns the output of `systemd-analyze verify` for the service with this drop-in.
fn verify_output(part: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let unit = fs::read_to_string(root().join("docs/systemd/sentinel.service")).unwrap();
    let unit = unit.replace("/usr/local/bin/sentinel", env!("CARGO_BIN_EXE_sentinel"));
    fs::write(folder.path().join("sentinel.service"), unit).unwrap();
    let beside = folder.path().join("sentinel.service.d");
    fs::create_dir(&beside).unwrap();
    fs::write(beside.join("part.conf"), part).unwrap();
    let mut verify = Command::new("systemd-analyze");
    verify.args(["verify", "--man=no"]).arg(folder.path().join("sentinel.service"));
    // Drop-ins are searched in the unit path, and not beside the given file.
    verify.env("SYSTEMD_UNIT_PATH", format!("{}:", folder.path().display()));
    let output =
        verify.output().unwrap_or_else(|error| panic!("systemd-analyze: {error}; {SETUP}"));
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

#[test]
fn unit_drop_ins_in_documents_are_accepted_by_systemd() {
    let blocks = all_blocks().into_iter().filter(|block| block.language == "ini");
    let blocks: Vec<_> = blocks.collect();
    assert!(blocks.len() >= 2);
    let mut credentials = 0;
    for block in blocks {
        let message = verify_output(&block.text);
        assert!(!message.contains("part.conf"), "{}: {message}", block.place);
        // Each loaded credential is used by a variable, through the folder of the unit (`%d`).
        let lines = |start: &str| -> Vec<String> {
            let lines = block.text.lines().filter_map(|line| line.strip_prefix(start));
            lines.map(str::to_owned).collect()
        };
        for name in lines("LoadCredential=") {
            let name = name.split(':').next().unwrap();
            let named =
                lines("Environment=").iter().any(|line| line.ends_with(&format!("=%d/{name}")));
            assert!(named, "{}: nothing says where {name} is", block.place);
            credentials += 1;
        }
        assert!(!block.text.contains("/run/credentials"), "{}", block.place);
    }
    assert!(credentials > 0, "no block loads a credential");
    assert!(verify_output("[Service]\nNoSuchThing=1\n").contains("part.conf"));
}

/// Credentials are passed to the unit by variables, and never by a fixed path.
#[test]
fn pages_and_units_do_not_name_run_credentials() {
    for block in all_blocks() {
        assert!(!block.text.contains("/run/credentials"), "{}", block.place);
    }
    for entry in fs::read_dir(root().join("docs/systemd")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains("/run/credentials"), "{}", path.display());
    }
}
