//! Characters: widths, voiced kana, spaces.

/// Full-width forms of the half-width katakana from U+FF61 to U+FF9D, in their order.
const KATAKANA: &str = "。「」、・ヲァィゥェォャュョッーアイウエオカキクケコサシスセソ\
                        タチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワン";

const HALF_WIDTH_FIRST: u32 = 0xFF61;
const HALF_WIDTH_VOICED: char = '\u{FF9E}';
const HALF_WIDTH_SEMI_VOICED: char = '\u{FF9F}';

/// Full-width ASCII begins at U+FF01, for U+0021.
const FULL_WIDTH_OFFSET: u32 = 0xFF01 - 0x21;

/// Letters, digits and signs of ASCII in half width, katakana in full width with their voicing
/// marks joined, every run of white space (U+3000 too) one space, none at the ends.
pub(crate) fn cleaned(name: &str) -> String {
    let mut clean = String::with_capacity(name.len());
    for c in name.trim().chars() {
        match c {
            c if c.is_whitespace() => {
                if !clean.ends_with(' ') {
                    clean.push(' ');
                }
            }
            '\u{FF01}'..='\u{FF5E}' => {
                clean.extend(char::from_u32(u32::from(c) - FULL_WIDTH_OFFSET));
            }
            '\u{FF61}'..='\u{FF9D}' => {
                let index = (u32::from(c) - HALF_WIDTH_FIRST) as usize;
                clean.extend(KATAKANA.chars().nth(index));
            }
            HALF_WIDTH_VOICED => mark(&mut clean, voiced, '゛'),
            HALF_WIDTH_SEMI_VOICED => mark(&mut clean, semi_voiced, '゜'),
            c => clean.push(c),
        }
    }
    clean
}

/// Whether kana or Han characters occur.
pub(crate) fn is_japanese(name: &str) -> bool {
    name.chars().any(|c| {
        matches!(c,
            '々' | '〆'
            | '\u{3041}'..='\u{30FF}'
            | '\u{31F0}'..='\u{31FF}'
            | '\u{3400}'..='\u{4DBF}'
            | '\u{4E00}'..='\u{9FFF}'
            | '\u{F900}'..='\u{FAFF}'
            | '\u{20000}'..='\u{3FFFF}')
    })
}

/// Joins a mark to the character before it, or lets it stand alone where there is nothing to join.
fn mark(clean: &mut String, join: fn(char) -> Option<char>, alone: char) {
    match clean.chars().next_back().and_then(join) {
        Some(joined) => {
            clean.pop();
            clean.push(joined);
        }
        None => clean.push(alone),
    }
}

/// In Unicode a voiced kana follows its plain one; three stand elsewhere.
fn voiced(plain: char) -> Option<char> {
    match plain {
        'ウ' => Some('ヴ'),
        'ワ' => Some('ヷ'),
        'ヲ' => Some('ヺ'),
        c if "カキクケコサシスセソタチツテトハヒフヘホ".contains(c) => {
            char::from_u32(u32::from(c) + 1)
        }
        _ => None,
    }
}

fn semi_voiced(plain: char) -> Option<char> {
    "ハヒフヘホ".contains(plain).then(|| char::from_u32(u32::from(plain) + 2))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_width_and_space_has_one_form() {
        for (name, expected) in [
            ("Ｔａｒｏ　Ｙａｍａｄａ１２３", "Taro Yamada123"),
            ("（株）筧！～", "(株)筧!~"),
            ("ｱｲｳｴｵﾝ", "アイウエオン"),
            ("ｶﾞｷﾞｸﾞｹﾞｺﾞ", "ガギグゲゴ"),
            ("ｻﾞｼﾞｽﾞｾﾞｿﾞﾀﾞﾁﾞﾂﾞﾃﾞﾄﾞ", "ザジズゼゾダヂヅデド"),
            ("ﾊﾞﾋﾞﾌﾞﾍﾞﾎﾞﾊﾟﾋﾟﾌﾟﾍﾟﾎﾟ", "バビブベボパピプペポ"),
            ("ｳﾞｧﾜﾞｦﾞ", "ヴァヷヺ"),
            ("ｱﾞﾟ", "ア゛゜"),
            ("ﾞ", "゛"),
            ("ｼﾞｮｰﾝ･ｽﾐｽ｡｢｣､", "ジョーン・スミス。「」、"),
            ("カガ", "カガ"),
            ("\u{3000} 山田 \u{3000}\t太郎\n", "山田 太郎"),
            ("Anna-Maria O'Neil", "Anna-Maria O'Neil"),
            ("", ""),
        ] {
            assert_eq!(cleaned(name), expected, "{name}");
            assert_eq!(cleaned(expected), expected, "cleaning twice changes {expected}");
        }
    }

    #[test]
    fn japanese_is_told_by_its_characters() {
        for (name, expected) in [
            ("山田", true),
            ("やまだ", true),
            ("ヤマダ", true),
            ("佐々木", true),
            ("𠮷野家", true),
            ("Yamada", false),
            ("Müller", false),
            ("Иванов", false),
            ("", false),
        ] {
            assert_eq!(is_japanese(name), expected, "{name}");
        }
    }
}
