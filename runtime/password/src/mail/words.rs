//! Why a password was refused, in words: a category flows in, two sentences in two languages flow
//! out. Nothing that a server said is among them (M8).

use kakehi_engine::password::Category;

/// What is said of a category.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub reason_ja: &'static str,
    pub reason_en: &'static str,
    /// What the user can do about it.
    pub advice_ja: &'static str,
    pub advice_en: &'static str,
}

/// Takes: a category; `None` where no rule told one.
pub(super) fn words(category: Option<Category>) -> Words {
    match category.unwrap_or(Category::Other) {
        Category::TooShort => Words {
            reason_ja: "パスワードが短すぎます。",
            reason_en: "The password is too short.",
            advice_ja: "より長いパスワードに変更してください。",
            advice_en: "Please change your password to a longer one.",
        },
        Category::Complexity => Words {
            reason_ja: "パスワードに使われている文字の種類が足りません。",
            reason_en: "The password does not use enough kinds of characters.",
            advice_ja: "英大文字、英小文字、数字、記号を組み合わせたパスワードに変更してください。",
            advice_en: "Please change your password to one that mixes capital letters, small \
                        letters, digits and symbols.",
        },
        Category::History => Words {
            reason_ja: "以前に使われたことのあるパスワードです。",
            reason_en: "The password has been used before.",
            advice_ja: "これまでに使ったことのないパスワードに変更してください。",
            advice_en: "Please change your password to one that you have not used before.",
        },
        Category::Charset => Words {
            reason_ja: "パスワードに、このサービスでは使えない文字が含まれています。",
            reason_en: "The password contains characters that this service does not take.",
            advice_ja: "半角の英数字と一般的な記号だけを使ったパスワードに変更してください。",
            advice_en: "Please change your password to one of plain letters, digits and common \
                        symbols.",
        },
        Category::Blocklisted => Words {
            reason_ja: "推測されやすいため、使用が禁止されているパスワードです。",
            reason_en: "The password is easy to guess and is on a list of forbidden ones.",
            advice_ja: "名前やよくある単語を避け、推測されにくいパスワードに変更してください。",
            advice_en: "Please change your password to one that is hard to guess, without names \
                        and common words.",
        },
        Category::Other => Words {
            reason_ja: "このサービスのパスワードの規則に合いませんでした。",
            reason_en: "The password does not follow the rules of this service.",
            advice_ja: "サービスのパスワードの規則をご確認のうえ、別のパスワードに変更してください。",
            advice_en: "Please look at the password rules of the service and change your password \
                        to another one.",
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_category_has_words_of_its_own() {
        let all = [
            Category::TooShort,
            Category::Complexity,
            Category::History,
            Category::Charset,
            Category::Blocklisted,
            Category::Other,
        ];
        let texts: BTreeSet<&str> = all
            .into_iter()
            .map(|category| words(Some(category)))
            .flat_map(|w| [w.reason_ja, w.reason_en, w.advice_ja, w.advice_en])
            .collect();
        assert_eq!(texts.len(), 4 * all.len());
        assert_eq!(words(None), words(Some(Category::Other)));
    }
}
