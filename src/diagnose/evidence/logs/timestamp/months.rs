//! Months: what glibc calls them in other languages, where journalctl writes a machine's own.

/// The abbreviations of French, Spanish, Italian, Portuguese, German, Dutch, Swedish, Polish, Czech, Russian
/// and Turkish by months, from glibc 2.36. None is two months'; those that are, with Croatian's, are [`SHARED`].
const NAMES: [&[&str]; 12] = [
    &["janv", "ene", "gen", "jan", "sty", "led", "янв", "Oca"],
    &["févr", "feb", "fev", "lut", "úno", "фев", "Şub"],
    &["mars", "mar", "Mär", "mrt", "bře", "мар"],
    &["avril", "abr", "apr", "kwi", "dub", "апр", "Nis"],
    &["mai", "may", "mag", "Mai", "mei", "maj", "kvě", "мая", "май"],
    &["juin", "jun", "giu", "cze", "čen", "июн", "Haz"],
    &["juil", "jul", "lug", "čec", "июл", "Tem"],
    &["août", "ago", "aug", "sie", "авг", "Ağu"],
    &["sept", "sep", "set", "wrz", "zář", "сен", "Eyl"],
    &["oct", "ott", "out", "Okt", "okt", "paź", "říj", "окт", "Eki"],
    &["nov", "ноя", "Kas"],
    &["déc", "dic", "dez", "Dez", "dec", "gru", "pro", "дек", "Ara"],
];
/// Names of two months: October in Croatian and November in Polish; June and July; July, and August in Czech.
const SHARED: [(&str, [i64; 2]); 3] = [("lis", [10, 11]), ("lip", [6, 7]), ("srp", [7, 8])];
/// What stands behind the number of a month in Chinese and Japanese, and in Korean.
const MONTH: [char; 2] = ['月', '월'];

/// The number of the month that a text begins with, twice where it is one alone, and what follows it.
pub(super) fn months(text: &str) -> Option<([i64; 2], &str)> {
    let (word, rest) = text.split_at_checked(text.find(' ')?)?;
    if let Some(number) = word.strip_suffix(MONTH) {
        let number = number.parse().ok().filter(|number| (1..=12).contains(number))?;
        return Some(([number; 2], rest));
    }
    let name = word.strip_suffix('.').unwrap_or(word);
    if let Some((_, numbers)) = SHARED.iter().find(|(shared, _)| *shared == name) {
        return Some((*numbers, rest));
    }
    let (number, _) = (1..).zip(NAMES).find(|(_, names)| names.contains(&name))?;
    Some(([number; 2], rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_known_in_other_languages() {
        for (text, numbers) in [
            ("nov. 24", Some([11; 2])),
            ("avril 24", Some([4; 2])),
            ("Mär 24", Some([3; 2])),
            ("lis 24", Some([10, 11])),
            ("11月 24", Some([11; 2])),
            ("11월 24", Some([11; 2])),
            ("13月 24", None),
            ("Nova 24", None),
            ("nov.. 24", None),
        ] {
            assert_eq!(months(text), numbers.map(|numbers| (numbers, " 24")), "{text}");
        }
    }

    #[test]
    fn no_name_is_that_of_two_months() {
        let mut all = NAMES.concat();
        all.extend(SHARED.map(|(name, _)| name));
        all.sort_unstable();
        assert!(all.windows(2).all(|two| two[0] != two[1]), "{all:?}");
    }
}
