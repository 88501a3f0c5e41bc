//! `sentinel user import` and `user export`.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::Cli;

/// Output of Django's `PBKDF2PasswordHasher().encode("correct horse battery staple", …)`.
const DJANGO: &str =
    "pbkdf2_sha256$1000$seasalt0seasalt0seasa0$zmwH/lAwndl+fmNO6oQViP2wCskggNqeRCYslipyfNY=";
const PASSWORD: &str = "correct horse battery staple";
const ID: &str = "65f0c0de65f0c0de65f0c0de";

async fn login(url: &str, client: &str, username: &str, password: &str) -> u16 {
    let form = [
        ("grant_type", "password"),
        ("client_id", client),
        ("username", username),
        ("password", password),
    ];
    let request = reqwest::Client::new().post(format!("http://{url}/oauth/token"));
    request.form(&form).send().await.unwrap().status().as_u16()
}

fn hash_of(cli: &Cli, name: &str) -> String {
    let connection = rusqlite::Connection::open(cli.path("sentinel.db")).unwrap();
    let sql = "SELECT password_hash FROM users WHERE username = ?1";
    connection.query_row(sql, [name], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn imported_users_can_log_in_and_their_hashes_are_upgraded() {
    let cli = Cli::new();
    let file = cli.write(
        "users.csv",
        format!(
            "username,password,hash,scopes,enabled,id\n\
             alice,,{DJANGO},,,{ID}\n\
             \"bob, the second\",pässword,,read write,yes,\n\
             carol,a secret,,\"\"\"\"\"\",false,\n"
        ),
    );
    let report = cli.json(&["user", "import", &file]);
    assert_eq!(report, json!({ "dry_run": false, "read": 3, "added": 3, "already": 0, "bad": [] }));
    let show = |name: &str| cli.json(&["user", "show", name]);
    assert_eq!((&show("alice")["id"], &show("alice")["scopes"]), (&json!(ID), &json!(null)));
    assert_eq!(show("bob, the second")["scopes"], json!(["read", "write"]));
    let carol = show("carol");
    assert_eq!((&carol["scopes"], &carol["enabled"]), (&json!([]), &json!(false)));
    assert!(hash_of(&cli, "alice").starts_with("$pbkdf2-sha256$i=1000,l=32$"));

    let client = cli.add_client(&[]);
    let server = cli.serve();
    let login =
        async |name: &str, password: &str| login(&server.address, &client, name, password).await;
    assert_eq!(login("alice", "wrong").await, 400);
    assert_eq!(login("alice", PASSWORD).await, 200);
    assert_eq!(login("bob, the second", "pässword").await, 200);
    assert_eq!(login("carol", "a secret").await, 400);
    // The server answers before it stores the stronger hash.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !hash_of(&cli, "alice").starts_with("$argon2id$") {
        assert!(std::time::Instant::now() < deadline, "{}", hash_of(&cli, "alice"));
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert_eq!(login("alice", PASSWORD).await, 200);
    assert_eq!(login("alice", "wrong").await, 400);
}

#[test]
fn user_import_reports_invalid_rows_by_line_and_adds_others() {
    let cli = Cli::new();
    cli.add_user("taken", PASSWORD);
    let lines = [
        json!({ "username": "alice", "hash": DJANGO }).to_string(),
        "not JSON, but hunter2".to_owned(),
        json!({ "username": "b", "password": 4711 }).to_string(),
        json!({ "username": "c", "hash": "hunter2" }).to_string(),
        json!({ "username": "d", "hash": "pbkdf2_sha256$99999999$seasalt$zmwH/lAwndl+fmNO6oQViP2wCskggNqeRCYslipyfNY=" })
            .to_string(),
        json!({ "username": "e" }).to_string(),
        json!({ "username": "f", "password": "x", "hash": DJANGO }).to_string(),
        json!({ "username": "g", "password": "" }).to_string(),
        json!({ "username": "h", "password": "x", "id": "7" }).to_string(),
        json!({ "username": "i", "password": "x", "scopes": "a\"b" }).to_string(),
        json!({ "username": "j", "password": "x", "admin": true }).to_string(),
        json!({ "username": "alice", "password": "x" }).to_string(),
        json!({ "username": "k\u{200b}", "password": "x" }).to_string(),
        json!({ "username": "taken", "password": "x", "id": ID }).to_string(),
        String::new(),
        json!({ "username": "last", "password": "x", "scopes": ["a"], "enabled": false })
            .to_string(),
    ];
    let done = cli.pipe(lines.join("\n"), &["user", "import", "-", "--format", "jsonl", "--json"]);
    assert_eq!(done.code, 65, "{done:?}");
    assert!(done.remarks().contains("13 of 15 rows cannot be imported"), "{done:?}");
    assert!(!format!("{done:?}").contains("hunter2"), "{done:?}");
    assert!(!format!("{done:?}").contains("4711"), "{done:?}");
    let report: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((&report["read"], &report["added"]), (&json!(15), &json!(2)));
    let bad = report["bad"].as_array().unwrap();
    assert_eq!(bad.len(), 13);
    for ((line, reason), bad) in [
        (2, "not a JSON object"),
        (3, "password has the wrong JSON type"),
        (4, "format of the hash is unknown"),
        (5, "too costly"),
        (6, "neither password nor hash"),
        (7, "only one is allowed"),
        (8, "password is empty"),
        (9, "24 hexadecimal digits"),
        (10, "scopes are invalid"),
        (11, "unknown member"),
        (12, "the same username is in line 1"),
        (13, "expected a user name"),
        (14, "belongs to a user with another id"),
    ]
    .into_iter()
    .zip(bad)
    {
        assert_eq!(bad["line"], line, "{bad}");
        assert!(bad["reason"].as_str().unwrap().contains(reason), "{bad}");
    }
    let names = cli.json(&["user", "list"]);
    let names: Vec<_> = names.as_array().unwrap().iter().map(|user| &user["username"]).collect();
    assert_eq!(names, ["alice", "last", "taken"]);

    let again = cli.pipe(lines.join("\n"), &["user", "import", "-", "--format", "jsonl"]);
    assert_eq!(again.code, 65);
    assert!(again.stdout.contains("line 12: alice: the same username"), "{again:?}");
    assert!(again.stdout.starts_with("READ  ADDED  ALREADY  BAD\n15    0      2        13\n"));
}

#[test]
fn user_import_refuses_spellings_of_new_names_and_reports_those_of_users_with_ids() {
    let cli = Cli::new();
    cli.add_user("Taken", PASSWORD);
    let row = |name: &str| json!({ "username": name, "password": PASSWORD });
    let with_id = |name: &str, id: &str| json!({ "username": name, "hash": DJANGO, "id": id });
    let other = "65f0c0de65f0c0de65f0c0df";
    let lines = [
        row(" Alice "),
        row("ALICE"),
        row("taken"),
        with_id("tAKEN", ID),
        with_id("bob", other),
        json!({ "username": "Bob", "hash": DJANGO, "id": "65f0c0de65f0c0de65f0c0e0" }),
    ];
    let lines = lines.map(|line| line.to_string()).join("\n");
    let import = ["user", "import", "-", "--format", "jsonl", "--json"];
    for more in [&["--dry-run"][..], &[]] {
        let done = cli.pipe(&lines, &[&import, more].concat());
        assert_eq!(done.code, 65, "{done:?}");
        let report: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!((&report["added"], &report["already"]), (&json!(4), &json!(0)), "{report}");
        let bad = report["bad"].as_array().unwrap();
        assert_eq!(bad[0]["reason"], "the same username is in line 1, in another spelling");
        assert_eq!(bad[1]["reason"], "there is already a user called \"Taken\"");
        for (line, name) in [(4, "tAKEN"), (6, "Bob")] {
            let remark = format!("line {line}: {name}: another user has this name");
            assert!(done.remarks().contains(&remark), "{done:?}");
        }
    }
    for name in ["tAKEN", "bob", "Bob"] {
        assert_eq!(cli.json(&["user", "show", name])["username"], name);
    }
    cli.run(&["user", "show", "BOB"]).fails(65, "there is no user");
    assert_eq!(cli.json(&["user", "show", "ALICE"])["username"], "Alice");
    let again: serde_json::Value = serde_json::from_str(&cli.pipe(&lines, &import).stdout).unwrap();
    assert_eq!((&again["added"], &again["already"]), (&json!(0), &json!(4)), "{again}");
}

#[test]
fn user_import_warns_about_short_passwords_but_not_about_hashes() {
    let cli = Cli::new();
    let import = ["user", "import", "-", "--format", "jsonl", "--json"];
    let hash = json!({ "username": "alice", "hash": DJANGO }).to_string();
    cli.pipe(&hash, &import).json();
    let rows = ["seven77", "eight888"]
        .map(|password| json!({ "username": password, "password": password }).to_string());
    let done = cli.pipe([&rows[..], &[hash]].concat().join("\n"), &import);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(
        done.remarks(),
        "sentinel: passwords with fewer than 8 characters (password.min_length): 1, imported anyway\n"
    );
    // This import sets no password, because the users exist.
    cli.pipe(rows.join("\n"), &import).json();
}

#[test]
fn csv_import_reports_invalid_rows_by_line() {
    let cli = Cli::new();
    let text =
        b"username,password\nalice,x\nbob\n\"two\nlines\",x\ncarol,\xff\ndave,x\n".as_slice();
    let done = cli.pipe(text, &["user", "import", "-", "--format", "csv", "--json"]);
    assert_eq!(done.code, 65, "{done:?}");
    let report: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    let bad: Vec<_> = report["bad"].as_array().unwrap().iter().map(|bad| &bad["line"]).collect();
    assert_eq!((&report["added"], bad), (&json!(2), vec![&json!(3), &json!(4), &json!(6)]));
    // A spreadsheet on Windows writes CRLF; some lines are empty.
    let text = "username,password\r\nerin,x\r\n\r\nfrank\r\n\r\n\r\ngrace\r\n";
    let done = cli.pipe(text, &["user", "import", "-", "--format", "csv", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    let bad: Vec<_> = report["bad"].as_array().unwrap().iter().map(|bad| &bad["line"]).collect();
    assert_eq!((&report["added"], bad), (&json!(1), vec![&json!(4), &json!(7)]));
    // After an opening quotation mark, no more is read than the maximum size of a record.
    let open =
        format!("username,password\r\nheidi,x\r\n\r\nivan,\"x\r\n{}", "judy,x\n".repeat(1 << 19));
    let done = cli.pipe(open, &["user", "import", "-", "--format", "csv", "--json"]);
    done.assert_failed(65, "the record that begins in line 4 is longer than 1 MiB");
    assert_eq!(cli.json(&["user", "show", "heidi"])["username"], "heidi");
    cli.pipe("\"".to_owned() + &"x".repeat(2 << 20), &["user", "import", "-", "--format", "csv"])
        .fails(65, "the record that begins in line 1 is longer than 1 MiB");
    cli.pipe("name,password\n", &["user", "import", "-", "--format", "csv"])
        .fails(65, "column 1 of the CSV header in the first line is unknown");
    cli.run(&["user", "import", "-"]).fails(64, "--format csv or jsonl");
    cli.run(&["user", "import", &cli.path("no.csv")]).fails(74, "cannot read");
}

#[test]
fn list_longer_than_page_size_is_printed_as_one() {
    let cli = Cli::new();
    let line = |number: u32| json!({ "username": format!("u{number:04}"), "hash": DJANGO });
    let lines: Vec<String> = (0..2500).map(|number| line(number).to_string()).collect();
    let import = ["user", "import", "-", "--format", "jsonl"];
    assert_eq!(cli.pipe(lines.join("\n"), &import).code, 0);
    let listed = cli.json(&["user", "list", "--limit", "10000"]);
    let names = listed.as_array().unwrap().iter().map(|user| user["username"].as_str().unwrap());
    assert!(names.eq((0..2500).map(|number| format!("u{number:04}"))));
    for (limit, last) in [(1000, "u0999"), (1001, "u1000"), (2000, "u1999"), (2499, "u2498")] {
        let done = cli.run(&["user", "list", "--json", "--limit", &limit.to_string()]);
        let more = format!("sentinel: the list continues: use --after '{last}'\n");
        assert_eq!((done.code, done.remarks()), (0, more));
        let listed: Vec<serde_json::Value> = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(listed.len(), limit);
    }
    let table = cli.run(&["user", "list", "--limit", "2500"]);
    assert_eq!(table.ok().lines().count(), 2501);
    assert_eq!(table.ok().matches("NAME").count(), 1);
    assert_eq!(cli.json(&["user", "list", "--after", "u2499"]), json!([]));
}

#[test]
fn exported_users_are_imported_unchanged() {
    let (cli, other) = (Cli::new(), Cli::new());
    let lines = [
        json!({ "username": "alice", "hash": DJANGO, "id": ID }),
        json!({ "username": "a \"quoted\", name", "password": "x", "scopes": ["b", "a"] }),
        json!({ "username": "nothing", "password": "x", "scopes": [], "enabled": false }),
    ];
    let text = lines.map(|line| line.to_string()).join("\n");
    assert_eq!(cli.pipe(text, &["user", "import", "-", "--format", "jsonl"]).code, 0);
    for name in ["users.csv", "users.jsonl"] {
        let file = cli.path(name);
        let done = cli.json(&["user", "export", &file]);
        assert_eq!(done, json!({ "file": file, "users": 3 }));
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        cli.run(&["user", "export", &file]).fails(65, "overwrites nothing");
        let report = other.json(&["user", "import", &file]);
        assert_eq!(report["bad"], json!([]), "{report}");
        let format = name.rsplit('.').next().unwrap();
        let export = ["user", "export", "-", "--format", format];
        let (ours, theirs) = (cli.run(&export), other.run(&export));
        assert_eq!(ours.ok(), theirs.ok());
        assert_eq!(ours.ok(), std::fs::read_to_string(&file).unwrap().trim_end());
        assert_eq!(ours.ok().matches(ID).count(), 1);
        // A second import finds every user in the store.
        let again = other.json(&["user", "import", &file]);
        assert_eq!((&again["added"], &again["already"]), (&json!(0), &json!(3)));
    }
    cli.run(&["user", "export", &cli.path("users")]).fails(64, "--format csv or jsonl");
    cli.run(&["user", "export", &cli.path("no/users.csv")]).fails(74, "cannot write");
}

#[test]
fn dry_run_of_user_import_reports_result_and_writes_nothing() {
    let cli = Cli::new();
    let lines = [
        json!({ "username": "alice", "hash": DJANGO }),
        json!({ "username": "bob", "password": "short", "id": ID }),
        json!({ "username": "carol", "hash": "hunter2" }),
    ];
    let file = cli.write("users.jsonl", lines.map(|line| line.to_string()).join("\n"));
    let import = ["user", "import", &file, "--dry-run", "--json"];
    let report = |done: &super::CommandResult| -> serde_json::Value {
        serde_json::from_str(&done.stdout).unwrap()
    };
    // Without a store, all users are new, and none is made.
    let done = cli.run(&import);
    assert_eq!(done.code, 65, "{done:?}");
    let found = report(&done);
    assert_eq!((&found["dry_run"], &found["added"]), (&json!(true), &json!(2)), "{found}");
    assert_eq!(found["bad"][0]["line"], json!(3));
    assert!(done.stderr.contains("(password.min_length): 1, accepted"), "{done:?}");
    assert!(!done.stderr.contains("audit") && !done.stderr.contains("hunter2"), "{done:?}");
    assert!(!std::fs::exists(cli.path("sentinel.db")).unwrap());

    cli.add_user("alice", PASSWORD);
    let other =
        cli.write("other.jsonl", json!({ "username": "x", "hash": DJANGO, "id": ID }).to_string());
    cli.json(&["user", "import", &other]);
    let found = report(&cli.run(&import));
    assert_eq!((&found["added"], &found["already"]), (&json!(0), &json!(1)), "{found}");
    assert_eq!(found["bad"][0]["reason"], "its id belongs to a user of another name");
    assert_eq!(cli.json(&["user", "list"]).as_array().unwrap().len(), 2);
}

#[test]
fn import_errors_contain_no_password_or_hash() {
    let cli = Cli::new();
    for text in
        ["alice,hunter2\nbob,hunter2\n", "alice;hunter2\n", "hunter2\n", "username,hunter2\n"]
    {
        let done = cli.pipe(text, &["user", "import", "-", "--format", "csv"]);
        done.assert_failed(65, "of the CSV header in the first line is unknown");
        assert!(!format!("{done:?}").contains("hunter2"), "{done:?}");
    }
    for line in [
        "{\"username\":\"alice\",\"hunter2\":1}",
        "{\"username\":\"alice\",\"password\":{\"x\":\"hunter2\"}}",
        "{\"username\":\"alice\",\"hash\":{\"x\":\"hunter2\"}}",
        "{\"username\":\"alice\",\"hash\":\"$2b$hunter2\"}",
        "{\"username\":\"alice\",\"password\":\"hunter2\\n\"}",
        "{\"username\":\"alice\",\"password\":\"x\",\"scopes\":\"\\\"hunter2\"}",
        "{\"username\":\"alice\",\"password\":\"x\",\"id\":\"hunter2\"}",
        "\"hunter2\"",
        "{\"password\":\"hunter2",
    ] {
        let done = cli.pipe(line, &["user", "import", "-", "--format", "jsonl"]);
        assert_eq!(done.code, 65, "{done:?}");
        assert!(!format!("{done:?}").contains("hunter2"), "{line}: {done:?}");
        let done = cli.pipe(line, &["client", "import", "-"]);
        assert_eq!(done.code, 65, "{done:?}");
        assert!(!format!("{done:?}").contains("hunter2"), "{line}: {done:?}");
    }
    for members in [
        "\"client_secret\":5,\"name\":\"hunter2\"",
        "\"client_secret\":\"hunter2\",\"secret_sha256\":\"hunter2\"",
        "\"secret_sha256\":\"hunter2\"",
        "\"type\":\"hunter2\"",
        "\"grants\":\"hunter2\"",
        "\"scopes\":\"\\\"hunter2\"",
        "\"session_ttl\":\"hunter2\"",
    ] {
        let line = format!("{{\"client_id\":\"c1\",{members}}}");
        let done = cli.pipe(&line, &["client", "import", "-"]);
        assert_eq!(done.code, 65, "{done:?}");
        assert!(!format!("{done:?}").contains("hunter2"), "{line}: {done:?}");
    }
}

#[test]
fn byte_order_mark_semicolons_and_keycloak_objects_are_read() {
    let cli = Cli::new();
    let bom = '\u{feff}';
    let jsonl = ["user", "import", "-", "--format", "jsonl", "--json"];
    let line = json!({ "username": "alice", "hash": DJANGO });
    assert_eq!(cli.pipe(format!("{bom}{line}"), &jsonl).json()["added"], 1);
    let csv = ["user", "import", "-", "--format", "csv", "--json"];
    let text = format!("{bom}username;hash;scopes\r\nbob;{DJANGO};a b\r\n\"c,d\";{DJANGO};\r\n");
    assert_eq!(cli.pipe(text, &csv).json()["added"], 2);
    assert_eq!(cli.json(&["user", "show", "bob"])["scopes"], json!(["a", "b"]));
    let credential = json!({
        "secretData": { "value": "EnDApHjOOFUBdPCpGIuC6IadN4J96U5dfWp/4iap5w0=", "salt": "hIO6r09/QlCLPsBNdVEr9A==" },
        "credentialData": { "hashIterations": 5, "algorithm": "pbkdf2-sha256" },
    });
    let line = json!({ "username": "erin", "hash": credential });
    assert_eq!(cli.pipe(line.to_string(), &jsonl).json()["added"], 1);
    let line = json!({ "client_id": "c1" });
    assert_eq!(
        cli.pipe(format!("{bom}{line}"), &["client", "import", "-", "--json"]).json()["added"],
        1
    );
}

#[test]
fn indented_json_is_one_error() {
    let cli = Cli::new();
    for text in
        ["{\n  \"username\": \"alice\"\n}\n", "[\n  {\"username\": \"alice\"}\n]\n", "[{\n}]"]
    {
        for import in
            [&["user", "import", "-", "--format", "jsonl"][..], &["client", "import", "-"]]
        {
            let done = cli.pipe(text, import);
            done.assert_failed(
                65,
                "line 1 is not a complete JSON object; JSON Lines has one object per line",
            );
        }
    }
}
