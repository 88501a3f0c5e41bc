//! Drives Chromium like a person: reads, types, clicks and presses keys.

use std::cell::RefCell;
use std::str::FromStr;
use std::time::{Duration, Instant};

use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::elements::Element;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use reqwest::{Method, Url};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::helpers::{App, ExternalProgram, command, free_port, installed};
use crate::management::{OPERATOR, OPERATOR_PASSWORD};

/// Time limit of a single operation, which takes well below a second on an idle machine.
const LIMIT: Duration = Duration::from_secs(30);

const ARGUMENTS: [&str; 10] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    // Chromium exits when the other end of the pipe is closed, even if ChromeDriver is killed.
    "--remote-debugging-pipe",
];

/// Chromium with a profile of its own and the credentials of the operator.
pub struct Browser {
    client: Client,
    /// URL of the management page with the operator's name and password.
    home: Url,
    /// Expected statuses other than 200, in order. The browser logs an error for each.
    refusals: RefCell<Vec<u16>>,
    /// Dropped before its folder is removed.
    _driver: ExternalProgram,
    _folder: TempDir,
}

/// Command outside the WebDriver standard: its path below the session, and its body.
#[derive(Debug)]
struct Extension(&'static str, Value);

impl WebDriverCompatibleCommand for Extension {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, <Url as FromStr>::Err> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.0))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.1.to_string()))
    }
}

impl Browser {
    pub async fn start(app: &App, more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let mut command = command("chromedriver");
        // Files that ChromeDriver and Chromium write are removed with the folder.
        command.env("HOME", folder.path()).env("TMPDIR", folder.path());
        command.arg(format!("--port={port}"));
        let driver = ExternalProgram::start(command, port, folder.path());
        let profile = format!("--user-data-dir={}", folder.path().join("profile").display());
        let arguments = [&ARGUMENTS[..], &[profile.as_str()], more].concat();
        let capabilities = json!({
            "goog:chromeOptions": { "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let mut connector = HttpConnector::new();
        // The body of a command is sent without waiting for the acknowledgement of its head.
        connector.set_nodelay(true);
        let mut builder = ClientBuilder::new(connector);
        builder.capabilities(serde_json::from_value(capabilities).unwrap());
        let client = tokio::time::timeout(LIMIT, builder.connect(&driver.url)).await;
        let client = client.unwrap_or_else(|_| panic!("no browser\n{}", driver.output())).unwrap();
        let mut home = Url::parse(&app.url).unwrap().join("/oauth/management").unwrap();
        home.set_username(OPERATOR).unwrap();
        home.set_password(Some(OPERATOR_PASSWORD)).unwrap();
        Self { client, home, refusals: RefCell::default(), _driver: driver, _folder: folder }
    }

    /// Closes the browser and asserts that it logged only the expected statuses: no violation of a
    /// policy and no resource that failed to load.
    pub async fn quit(self) {
        self.quit_ignoring(&[]).await;
    }

    /// Closes the browser like [`Self::quit`], but ignores log entries that contain one of
    /// `ignored`.
    pub async fn quit_ignoring(self, ignored: &[&str]) {
        let log = self.extension("se/log", json!({ "type": "browser" })).await;
        let complaints: Vec<&str> = log
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["message"].as_str().unwrap())
            .filter(|complaint| !ignored.iter().any(|this| complaint.contains(this)))
            .collect();
        let refusals = self.refusals.take();
        assert_eq!(complaints.len(), refusals.len(), "{complaints:#?}");
        for (complaint, status) in complaints.iter().zip(refusals) {
            assert!(complaint.contains(&format!("with a status of {status} ")), "{complaint}");
        }
        within("quit", self.client.close()).await.unwrap();
    }

    /// Opens a path below the management page.
    pub async fn open(&self, path: &str) {
        let address = format!("{}{path}", self.home);
        within(path, self.client.goto(&address)).await.unwrap();
    }

    /// Opens a path below the management page that is answered with this status.
    pub async fn open_refused(&self, path: &str, status: u16) {
        self.expect_refusal(status);
        self.open(path).await;
    }

    /// Expects the next page to have this status, for which the browser logs an error.
    pub fn expect_refusal(&self, status: u16) {
        self.refusals.borrow_mut().push(status);
    }

    /// Opens any address and returns the title of its page.
    pub async fn title_of(&self, address: &str) -> String {
        within(address, self.client.goto(address)).await.unwrap();
        within("title", self.client.title()).await.unwrap()
    }

    pub async fn title(&self) -> String {
        within("title", self.client.title()).await.unwrap()
    }

    /// Follows a link to an element of the same page, which must exist.
    pub async fn jump(&self, link: &str) {
        let link = self.find(&format!("//a[normalize-space()=\"{link}\"]")).await;
        within("jump", link.click()).await.unwrap();
        let script = "return document.querySelector(':target') !== null";
        assert_eq!(self.script(script).await, true);
    }

    pub async fn back(&self) {
        within("back", self.client.back()).await.unwrap();
    }

    /// Returns the visible text of the page.
    pub async fn text(&self) -> String {
        self.text_at("//main").await
    }

    pub async fn text_at(&self, xpath: &str) -> String {
        let element = self.find(xpath).await;
        within(xpath, element.text()).await.unwrap()
    }

    /// Returns the source of the page, including the invisible parts.
    pub async fn source(&self) -> String {
        within("source", self.client.source()).await.unwrap()
    }

    /// Asserts that the page shows a text.
    pub async fn assert_shown(&self, text: &str) {
        let shown = self.text().await;
        assert!(shown.contains(text), "no {text:?} in {shown}");
    }

    pub async fn assert_hidden(&self, text: &str) {
        let shown = self.text().await;
        assert!(!shown.contains(text), "{text:?} in {shown}");
    }

    /// Returns the number of rows in the table.
    pub async fn rows(&self) -> usize {
        within("rows", self.client.find_all(Locator::XPath("//tbody/tr"))).await.unwrap().len()
    }

    /// Follows a link.
    pub async fn follow(&self, link: &str) {
        self.click_and_wait(&format!("//a[normalize-space()=\"{link}\"]")).await;
    }

    /// Presses a button that submits a form.
    pub async fn press(&self, button: &str) {
        self.click_and_wait(&format!("//button[normalize-space()=\"{button}\"]")).await;
    }

    /// Presses a button that submits a form with an error in it.
    pub async fn press_expecting_error(&self, button: &str) {
        self.expect_refusal(422);
        self.press(button).await;
    }

    /// Replaces the value of the field with this label.
    pub async fn fill(&self, label: &str, text: &str) {
        self.set_value(&field_of(label), text).await;
    }

    /// Replaces the value of the field at this XPath.
    pub async fn set_value(&self, xpath: &str, text: &str) {
        let field = self.find(xpath).await;
        within(xpath, field.clear()).await.unwrap();
        within(xpath, field.send_keys(text)).await.unwrap();
    }

    /// Clicks the label of a checkbox or radio button.
    pub async fn choose(&self, label: &str) {
        let label = self.find(&format!("//label[normalize-space()=\"{label}\"]")).await;
        within("choose", label.click()).await.unwrap();
    }

    pub async fn is_chosen(&self, label: &str) -> bool {
        within(label, self.field(label).await.is_selected()).await.unwrap()
    }

    /// Returns the value of a field.
    pub async fn value(&self, label: &str) -> String {
        within(label, self.field(label).await.prop("value")).await.unwrap().unwrap()
    }

    /// Returns the error message beside a field.
    pub async fn remark(&self, label: &str) -> String {
        let beside = "parent::div/p[@class=\"error\"]";
        self.text_at(&format!("//label[normalize-space()=\"{label}\"]/{beside}")).await
    }

    /// Presses a key in the element that has the focus.
    pub async fn key(&self, key: char) {
        let keys = KeyActions::new("keyboard".to_owned());
        let keys = keys.then(KeyAction::Down { value: key }).then(KeyAction::Up { value: key });
        within("key", self.client.perform_actions(keys)).await.unwrap();
    }

    pub async fn type_keys(&self, text: &str) {
        for key in text.chars() {
            self.key(key).await;
        }
    }

    /// Presses a key that leads to another page.
    pub async fn press_key_and_wait(&self, key: char) {
        let page = self.find("/html").await;
        self.key(key).await;
        self.wait_for_page_after(&page).await;
    }

    /// Returns the label, or else the text, of the element that has the focus.
    pub async fn focus(&self) -> String {
        let script = "const focus = document.activeElement;
            return (focus.labels?.[0] ?? focus).textContent.trim()";
        self.script(script).await.as_str().unwrap().to_owned()
    }

    /// Sets the width of the viewport, in CSS pixels.
    pub async fn set_width(&self, width: u32) {
        let size =
            json!({ "width": width, "height": 800, "deviceScaleFactor": 1, "mobile": false });
        let command = json!({ "cmd": "Emulation.setDeviceMetricsOverride", "params": size });
        self.extension("goog/cdp/execute", command).await;
        assert_eq!(self.script("return innerWidth").await, width);
    }

    /// Returns the widths of the page and of its visible part, in CSS pixels.
    pub async fn widths(&self) -> (u64, u64) {
        let script = "const page = document.scrollingElement;
            return [page.scrollWidth, page.clientWidth]";
        serde_json::from_value(self.script(script).await).unwrap()
    }

    /// Returns what axe-core finds on the page, one line for each element: violations of WCAG 2.2
    /// (levels A and AA) and of good practice.
    pub async fn accessibility_faults(&self) -> Vec<String> {
        let axe = installed(".cache/axe", "node_modules/axe-core/axe.min.js");
        let axe = std::fs::read_to_string(axe).unwrap();
        let script = "const found = await axe.run({ resultTypes: ['violations'] });
            return found.violations.flatMap(rule =>
                rule.nodes.map(node => `${rule.id}: ${node.html}: ${node.failureSummary}`));";
        let script = format!("{axe}; return (async () => {{ {script} }})()");
        serde_json::from_value(self.script(&script).await).unwrap()
    }

    /// Emulates the colour scheme `light` or `dark` of the system, without transitions between
    /// colours.
    pub async fn set_scheme(&self, scheme: &str) {
        let features = json!([
            { "name": "prefers-color-scheme", "value": scheme },
            { "name": "prefers-reduced-motion", "value": "reduce" },
        ]);
        let params = json!({ "features": features });
        let command = json!({ "cmd": "Emulation.setEmulatedMedia", "params": params });
        self.extension("goog/cdp/execute", command).await;
    }

    /// Runs a script of the test, to which the policy of the page does not apply.
    async fn script(&self, script: &str) -> Value {
        within("script", self.client.execute(script, Vec::new())).await.unwrap()
    }

    async fn extension(&self, path: &'static str, body: Value) -> Value {
        within(path, self.client.issue_cmd(Extension(path, body))).await.unwrap()
    }

    async fn field(&self, label: &str) -> Element {
        self.find(&field_of(label)).await
    }

    async fn find(&self, xpath: &str) -> Element {
        match within(xpath, self.client.find(Locator::XPath(xpath))).await {
            Ok(element) => element,
            Err(error) => panic!("{error}: {xpath} in {}", self.source().await),
        }
    }

    /// Clicks an element that leads to another page.
    pub async fn click_and_wait(&self, xpath: &str) {
        let page = self.find("/html").await;
        let element = self.find(xpath).await;
        within(xpath, element.click()).await.unwrap();
        self.wait_for_page_after(&page).await;
    }

    /// Waits until another page has loaded completely: the driver may still show the old one.
    async fn wait_for_page_after(&self, page: &Element) {
        let deadline = Instant::now() + LIMIT;
        let is_there = async || within("page", page.tag_name()).await.is_ok();
        while is_there().await || self.script("return document.readyState").await != "complete" {
            assert!(Instant::now() < deadline, "no other page comes: {}", self.source().await);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

/// Returns the XPath of the field with this label.
fn field_of(label: &str) -> String {
    format!("//input[@id=//label[normalize-space()=\"{label}\"]/@for]")
}

/// Awaits an operation of the browser within [`LIMIT`].
async fn within<T>(what: &str, doing: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(LIMIT, doing).await;
    done.unwrap_or_else(|_| panic!("the browser does not answer: {what}"))
}
