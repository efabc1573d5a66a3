//! Months: what glibc calls them in other languages, where journalctl writes a machine's own.

/// The abbreviations of French, Spanish, Italian, Portuguese, German, Dutch, Swedish, Polish, Czech, Russian
/// and Turkish by months, from glibc 2.36. None is two months', so Croatian is left out.
const NAMES: [&[&str]; 12] = [
    &["janv", "ene", "gen", "jan", "sty", "led", "янв", "Oca"],
    &["févr", "feb", "fev", "lut", "úno", "фев", "Şub"],
    &["mars", "mar", "Mär", "mrt", "bře", "мар"],
    &["avril", "abr", "apr", "kwi", "dub", "апр", "Nis"],
    &["mai", "may", "mag", "Mai", "mei", "maj", "kvě", "мая", "май"],
    &["juin", "jun", "giu", "cze", "čen", "июн", "Haz"],
    &["juil", "jul", "lug", "lip", "čec", "июл", "Tem"],
    &["août", "ago", "aug", "sie", "srp", "авг", "Ağu"],
    &["sept", "sep", "set", "wrz", "zář", "сен", "Eyl"],
    &["oct", "ott", "out", "Okt", "okt", "paź", "říj", "окт", "Eki"],
    &["nov", "lis", "ноя", "Kas"],
    &["déc", "dic", "dez", "Dez", "dec", "gru", "pro", "дек", "Ara"],
];
/// What stands behind the number of a month in Chinese and Japanese, and in Korean.
const MONTH: [char; 2] = ['月', '월'];

/// The number of the month that a text begins with, and what follows it.
pub(super) fn month(text: &str) -> Option<(i64, &str)> {
    let (word, rest) = text.split_at_checked(text.find(' ')?)?;
    if let Some(number) = word.strip_suffix(MONTH) {
        return Some((number.parse().ok().filter(|number| (1..=12).contains(number))?, rest));
    }
    let name = word.strip_suffix('.').unwrap_or(word);
    let (number, _) = (1..).zip(NAMES).find(|(_, names)| names.contains(&name))?;
    Some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_known_in_other_languages() {
        for (text, number) in [
            ("nov. 24", Some(11)),
            ("avril 24", Some(4)),
            ("Mär 24", Some(3)),
            ("lis 24", Some(11)),
            ("11月 24", Some(11)),
            ("11월 24", Some(11)),
            ("13月 24", None),
            ("Nova 24", None),
            ("nov.. 24", None),
        ] {
            assert_eq!(month(text), number.map(|number| (number, " 24")), "{text}");
        }
    }

    #[test]
    fn no_name_is_that_of_two_months() {
        let mut all = NAMES.concat();
        all.sort_unstable();
        assert!(all.windows(2).all(|two| two[0] != two[1]), "{all:?}");
    }
}
