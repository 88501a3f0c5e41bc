//! Contrast of the colours of the page (WCAG 2.2, 1.4.3 and 1.4.11), computed from its stylesheet.

use std::collections::HashMap;

const STYLE: &str = include_str!("../../../static/management.css");

/// Foreground and background of texts, which need a contrast ratio of 4.5 to 1.
const TEXTS: [(&str, &str); 14] = [
    ("text", "ground"),
    ("text", "surface"),
    ("text", "raised"),
    ("quiet", "ground"),
    ("quiet", "surface"),
    ("quiet", "raised"),
    ("accent", "ground"),
    ("accent", "surface"),
    ("accent", "raised"),
    ("on-accent", "accent"),
    ("good", "good-ground"),
    ("bad", "bad-ground"),
    ("bad", "surface"),
    ("warn", "warn-ground"),
];

/// Edges of fields and focus rings with their backgrounds, which need a ratio of 3 to 1.
const EDGES: [(&str, &str); 5] = [
    ("edge", "surface"),
    ("edge", "ground"),
    ("bad", "surface"),
    ("accent", "ground"),
    ("accent", "surface"),
];

/// Returns the colour variables with their values in the light and in the dark scheme.
fn colours() -> HashMap<&'static str, [&'static str; 2]> {
    let declarations = STYLE.split_once(":root {").unwrap().1.split_once('}').unwrap().0;
    let colour = |declaration: &'static str| {
        let (name, value) = declaration.trim().strip_prefix("--")?.split_once(": light-dark(#")?;
        let (light, dark) = value.strip_suffix(')')?.split_once(", #")?;
        Some((name, [light, dark]))
    };
    declarations.split(';').filter_map(colour).collect()
}

/// Relative luminance as WCAG defines it.
fn luminance(colour: &str) -> f64 {
    let [red, green, blue] = [0, 2, 4].map(|at| {
        let part = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    });
    0.0722f64.mul_add(blue, 0.2126f64.mul_add(red, 0.7152 * green))
}

fn contrast(one: &str, other: &str) -> f64 {
    let (one, other) = (luminance(one) + 0.05, luminance(other) + 0.05);
    (one / other).max(other / one)
}

#[test]
fn colours_have_wcag_contrast_in_both_schemes() {
    assert!((contrast("000000", "ffffff") - 21.0).abs() < 0.001);
    let colours = colours();
    let texts = TEXTS.into_iter().map(|pair| (pair, 4.5));
    for ((front, back), least) in texts.chain(EDGES.into_iter().map(|pair| (pair, 3.0))) {
        for (scheme, name) in ["light", "dark"].into_iter().enumerate() {
            let is = contrast(colours[front][scheme], colours[back][scheme]);
            assert!(is >= least, "{front} on {back} in the {name} scheme: {is:.2}");
        }
    }
}

#[test]
fn stylesheet_uses_only_colours_with_checked_contrast() {
    let colours = colours();
    let rules = STYLE.split_once('}').unwrap().1;
    let hexadecimal = rules
        .match_indices('#')
        .any(|(at, _)| rules[at + 1..].bytes().take(3).filter(u8::is_ascii_hexdigit).count() == 3);
    assert!(!hexadecimal, "a rule has a colour of its own");
    assert!(rules.contains("input::placeholder { color: var(--quiet); opacity: 1; }"));
    let checked = |name: &str| TEXTS.iter().any(|(front, _)| *front == name);
    for rule in rules.split('}') {
        for value in
            rule.split([';', '{']).filter_map(|text| text.trim().strip_prefix("color: var(--"))
        {
            let name = value.strip_suffix(')').unwrap();
            assert!(colours.contains_key(name) && checked(name), "{rule}");
        }
    }
}
