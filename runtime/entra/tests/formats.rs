//! A whole export through the importer and back: an example of our own, in each of the three
//! formats.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use kakehi_entra::{Argument, File, Imported, import, read, rule_xml};

const FOREST_A: &str = "{11111111-aaaa-4aaa-8aaa-00000000000a}";
const FOREST_R: &str = "{22222222-bbbb-4bbb-8bbb-00000000000b}";
const CLOUD: &str = "{b891884f-051e-4a83-95af-2544101c9083}";

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn folder(folder: &Path) -> Vec<File> {
    let mut files = vec![];
    for part in ["SynchronizationRules", "Connectors", "GlobalSettings"] {
        for entry in fs::read_dir(folder.join(part)).expect("the part is there") {
            files.push(file(&entry.expect("the folder can be read").path()));
        }
    }
    files
}

fn file(path: &Path) -> File {
    File { name: path.display().to_string(), bytes: fs::read(path).expect("the file is there") }
}

fn names() -> Vec<Argument> {
    [(FOREST_A, "forest-a:ad"), (FOREST_R, "forest-r:ad"), (CLOUD, "cloud:scim")]
        .into_iter()
        .map(|(id, name)| Argument::parse(&format!("{id}={name}")).expect("an argument"))
        .collect()
}

fn imported(files: &[File], arguments: &[Argument]) -> Imported {
    import(files, arguments, &[]).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

fn fragments(imported: &Imported) -> BTreeMap<&str, &str> {
    let fragments = imported.files.iter().filter(|file| file.path.starts_with("rules/"));
    fragments.map(|file| (file.path.as_str(), file.text.as_str())).collect()
}

fn text<'a>(imported: &'a Imported, path: &str) -> &'a str {
    &imported.files.iter().find(|file| file.path == path).expect("it was written").text
}

#[test]
fn p13_the_three_formats_of_one_rule_give_equal_fragments() {
    let names = names();
    let xml = imported(&folder(&fixtures().join("xml")), &names);
    let script = imported(&[file(&fixtures().join("rules.ps1"))], &names);
    let json = imported(&[file(&fixtures().join("rules.json"))], &names);
    assert_eq!(xml.counts.rules, (19, 19));
    assert_eq!(fragments(&xml), fragments(&script));
    assert_eq!(fragments(&xml), fragments(&json));
    assert_eq!(xml.counts, script.counts);
    assert_eq!(xml.counts, json.counts);
}

#[test]
fn exports_of_windows_tools_are_read_in_their_encodings() {
    let names = names();
    let plain = file(&fixtures().join("rules.ps1"));
    let text = String::from_utf8(plain.bytes.clone()).unwrap().replace('\n', "\r\n");
    let marked = format!("\u{feff}{text}");
    let wide: Vec<u8> = marked.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let expected = imported(&[plain], &names);
    for bytes in [marked.into_bytes(), wide] {
        let again = imported(&[File { name: "x.ps1".into(), bytes }], &names);
        assert_eq!(again.counts, expected.counts);
        // Texts over several lines keep the line ends of the file; all others are the same.
        let differing: Vec<&str> = fragments(&again)
            .into_iter()
            .filter(|(path, text)| fragments(&expected)[path] != *text)
            .map(|(path, _)| path)
            .filter(|path| !path.contains("common") && !path.contains("custom"))
            .collect();
        assert!(differing.is_empty(), "{differing:?}");
    }
}

#[test]
fn p13_exported_xml_comes_back_as_it_was() {
    let export = read(&folder(&fixtures().join("xml"))).unwrap();
    assert_eq!(export.rules.len(), 19);
    for rule in &export.rules {
        let original = fs::read_to_string(&rule.origin.file).unwrap();
        assert_eq!(normal(&rule_xml(rule)), normal(&original), "{}", rule.origin.file);
    }
}

/// Without white space between elements and line ends, and with the one spelling of an operator.
fn normal(xml: &str) -> String {
    let lines: Vec<&str> = xml.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines.join("\n").replace("ISNOTBITSET", "ISBITNOTSET")
}

#[test]
fn c4_the_other_spelling_of_an_operator_is_read_and_not_written() {
    let imported = imported(&[file(&fixtures().join("rules.ps1"))], &names());
    let all: String = imported.files.iter().map(|file| file.text.as_str()).collect();
    assert!(all.contains("ISBITNOTSET") && !all.contains("ISNOTBITSET"));
}

#[test]
fn c6_what_an_expression_reads_comes_from_the_expression() {
    let imported = imported(&folder(&fixtures().join("xml")), &names());
    let report = text(&imported, "import-report.md");
    assert!(report.contains("## Attributes that are read and not listed"), "{report}");
    assert!(report.contains("flow to `cloudFiltered`: the export does not list `dn`"), "{report}");
    assert!(report.contains("flow to `usageLocation`: the export does not list `c`"), "{report}");
}

#[test]
fn c7_an_imported_set_provisions_where_several_match() {
    let imported = imported(&folder(&fixtures().join("xml")), &names());
    let manifest = text(&imported, "manifest.yml");
    assert!(manifest.contains("compat: {on_multiple_match: provision}"), "{manifest}");
}

#[test]
fn a_fragment_reads_well() {
    let imported = imported(&folder(&fixtures().join("xml")), &names());
    let path = "rules/102-in-from-forest-a-user-accountenabled.yml";
    expect_test::expect_file!["fixtures/102.yml"].assert_eq(text(&imported, path));
    expect_test::expect_file!["fixtures/manifest.yml"].assert_eq(text(&imported, "manifest.yml"));
    expect_test::expect_file!["fixtures/report.md"].assert_eq(text(&imported, "import-report.md"));
    let custom = "rules/050-in-from-forest-a-custom-nobody-s-department.yml";
    expect_test::expect_file!["fixtures/050.yml"].assert_eq(text(&imported, custom));
}
