//! Template files, right and wrong.

use expect_test::expect_file;

use super::*;

/// The findings in a folder with one template are those of the file `invalid/<fault>.err`.
fn check(fault: &str, name: &str, text: &str) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), text).unwrap();
    let told = Templates::load(folder.path()).unwrap_err().to_string();
    let told = told.replace(&folder.path().display().to_string(), "FOLDER") + "\n";
    let invalid = concat!(env!("CARGO_MANIFEST_DIR"), "/src/mail/template/invalid");
    expect_file![format!("{invalid}/{fault}.err")].assert_eq(&told);
}

fn rendered(text: &str, fields: &Fields) -> Rendered {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("rejected.txt"), text).unwrap();
    let templates = Templates::load(folder.path()).unwrap();
    templates.render(Form::user(Kind::Rejected), fields).unwrap()
}

#[test]
fn shipped_templates_are_whole_and_speak_both_languages() {
    let shipped = Templates::shipped().unwrap();
    let mut fields = Fields::default();
    for field in Field::ALL {
        fields.set(field, field.as_str());
    }
    for (form, _, text) in SHIPPED {
        let mail = shipped.render(form, &fields).unwrap();
        assert!(mail.subject.starts_with("【product】"), "{form}: {}", mail.subject);
        let (japanese, english) = mail.body.split_once(&"-".repeat(72)).expect("a separator");
        assert!(japanese.contains("display_name 様") && !english.contains('様'), "{form}");
        assert!(english.is_ascii() && english.contains("Dear display_name,"), "{form}");
        for field in form.fields() {
            assert!(text.contains(&format!("{{{}}}", field.as_str())), "{form}: {field:?}");
        }
        assert!(!text.contains("http"), "{form}: no links");
    }
}

#[test]
fn every_mail_has_a_name_that_leads_back() {
    for (form, name, _) in SHIPPED {
        assert_eq!(form.name(), Some(name));
        assert!(name.starts_with(form.kind.as_str()));
    }
    assert_eq!(Form::all().count(), SHIPPED.len());
    assert_eq!(Form::user(Kind::TargetDown).name(), None);
    assert_eq!(Kind::parse("max_retries"), Some(Kind::MaxRetries));
    assert_eq!(Kind::parse("max-retries"), None);
}

#[test]
fn an_own_template_takes_the_place_of_the_shipped_one() {
    let mut fields = Fields::default();
    fields.set(Field::Target, "クラウド").set(Field::DisplayName, "山田\r\n太郎");
    let text = "\u{feff}Subject:  {target}: {{no}}\r\n\r\n{display_name}, {login}\r\n\r\nend";
    let mail = rendered(text, &fields);
    assert_eq!(mail.subject, "クラウド: {no}");
    assert_eq!(mail.body, "山田 太郎, -\n\nend\n");
}

#[test]
fn a_value_is_never_read_as_a_template() {
    let mut fields = Fields::default();
    fields.set(Field::Target, "{login}").set(Field::Login, "{target}\n\n{product}");
    let mail = rendered("Subject: {target}\n\n{login}\n", &fields);
    assert_eq!((mail.subject.as_str(), mail.body.as_str()), ("{login}", "{target} {product}\n"));
}

#[test]
fn a_long_value_is_cut() {
    let mut fields = Fields::default();
    fields.set(Field::Target, &"x".repeat(100_000));
    let mail = rendered("Subject: {target}\n\nbody\n", &fields);
    assert_eq!(mail.subject.chars().count(), VALUE_CHARS_MAX);
}

#[test]
fn wrong_templates_are_told_by_file_line_and_field() {
    check(
        "braces-and-unknown-fields",
        "rejected.txt",
        "Subject: {target}\n\n{display_name}\n{passwort}, {expires}\nHello {\n100 % }\n",
    );
    check("field-of-another-mail", "target_down.txt", "Subject: {login}\n\n{target}\n");
    check("missing-fields", "expired-admin.txt", "Subject: expired\n\nA password expired.\n");
}

#[test]
fn files_that_are_no_templates_are_told() {
    let no_subject =
        "FOLDER/expired.txt:1: the first line must be `Subject: ...`, the second one empty";
    for text in ["", "{target}\n\nbody\n", "Subject:\n\n{target}\n", "Subject: {target}\nbody\n"] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("expired.txt"), text).unwrap();
        let told = Templates::load(folder.path()).unwrap_err().to_string();
        let told = told.replace(&folder.path().display().to_string(), "FOLDER");
        assert_eq!(told, no_subject, "{text:?}");
    }
    check("no-body", "expired.txt", "Subject: {target}\n\n \n");
    check("no-such-mail", "rejekted.txt", "Subject: {target}\n\nbody\n");
    check("too-large", "expired.txt", &"x".repeat(100_000));
}

#[test]
fn a_folder_is_read_as_a_whole_and_other_files_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("README.md"), "{no template}").unwrap();
    assert_eq!(Templates::load(folder.path()).unwrap(), Templates::shipped().unwrap());
    fs::write(folder.path().join("expired.txt"), b"Subject: \xff\n\n").unwrap();
    fs::write(folder.path().join("recovered.txt"), "").unwrap();
    let errors = Templates::load(folder.path()).unwrap_err().0;
    let faults: Vec<&TemplateFault> = errors.iter().map(|error| &error.fault).collect();
    assert_eq!(faults, [&TemplateFault::NotText, &TemplateFault::NoSubject]);
    let missing = Templates::load(&folder.path().join("missing")).unwrap_err();
    assert!(missing.to_string().contains("cannot read the folder or file"), "{missing}");
}
