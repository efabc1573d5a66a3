//! Languages: what glibc says for "Cannot allocate memory" and "Resource temporarily unavailable" where
//! a server runs in the language of its country. From the catalogues of glibc 2.36 and, where the words
//! changed, of older ones.

use std::borrow::Cow;

const ENOMEM: &str = "Cannot allocate memory";
const EAGAIN: &str = "Resource temporarily unavailable";

/// The words for ENOMEM, and for EAGAIN.
const WORDS: [(&[&str], &str); 2] = [
    (
        &[
            "Nicht genügend Hauptspeicher verfügbar",
            "Ne peut allouer de la mémoire",
            "Impossible d'allouer de la mémoire",
            "Impossible d’allouer de la mémoire",
            "No se pudo asignar memoria",
            "No se puede asignar memoria",
            "Impossibile allocare memoria",
            "Não foi possível alocar memória",
            "Impossível alocar memória",
            "Não é possível alocar memória",
            "No s’ha pogut reservar memòria",
            "No s'ha pogut reservar memòria",
            "Onvoldoende geheugen beschikbaar",
            "Kan geen geheugen toewijzen",
            "Kan inte allokera minne",
            "Kan ikke tildele hukommelse",
            "Kan ikke tildele minne",
            "Muistin varaaminen ei onnistu",
            "Nie można przydzielić pamięci",
            "Nelze alokovat paměť",
            "Nie je možné prideliť pamäť",
            "Nem foglalható memória",
            "Nema dovoljno memorije",
            "Невозможно выделить память",
            "Не удаётся выделить память",
            "Не удается выделить память",
            "Не вдалося розподілити пам’ять",
            "Не може да се задели памет",
            "Не могу да доделим меморију",
            "Δεν είναι δυνατό να δεσμευτεί μνήμη",
            "Bellek ayrılamadı",
            "Tidak dapat mengalokasikan memori",
            "Không thể cấp phát bộ nhớ",
            "メモリを確保できません",
            "메모리를 할당할 수 없습니다",
            "无法分配内存",
            "無法配置記憶體",
        ],
        ENOMEM,
    ),
    (
        &[
            "Die Ressource ist zur Zeit nicht verfügbar",
            "Die Ressource ist momentan nicht verfügbar",
            "Ressource temporairement non disponible",
            "Recurso no disponible temporalmente",
            "Risorsa temporaneamente non disponibile",
            "Recurso temporariamente indisponível",
            "El recurs no es troba disponible temporalment",
            "Hulpbron is tijdelijk onbeschikbaar",
            "Resursen tillfälligt otillgänglig",
            "Resursen midlertidig utilgængelig",
            "Ressursen midlertidig utilgjengelig",
            "Resurssi ei tilapäisesti ole käytettävissä",
            "Zasoby chwilowo niedostępne",
            "Prostředek je dočasně nepřístupný",
            "Zdroj je dočasne neprístupný",
            "Erőforrás átmenetileg nem érhető el",
            "Resurs je privremeno nedostupni",
            "Ресурс временно недоступен",
            "Ресурс тимчасово недоступний",
            "Временно недостъпен ресурс",
            "Ο πόρος είναι προσωρινά μη διαθέσιμος",
            "Özkaynak geçici olarak kullanılamaz durumda",
            "Sumber daya sementara tidak tersedia",
            "リソースが一時的に利用できません",
            "자원이 일시적으로 사용 불가능함",
            "资源暂时不可用",
            "資源暫時無法取得",
        ],
        EAGAIN,
    ),
];

/// Parts of the words for ENOMEM in the languages of the most servers: where no fork is mentioned in a
/// line, only these are searched for. Each needle costs time.
pub(super) const NEEDLES: [&str; 7] = [
    "Hauptspeicher",
    "allouer de la m",
    "asignar memoria",
    "выделить память",
    "メモリを確保",
    "无法分配内存",
    "無法配置記憶體",
];

/// A message with the error in English; the text of most is English already.
pub(super) fn in_english(message: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(message);
    if message.contains(ENOMEM) {
        return text;
    }
    for (foreign, english) in WORDS {
        if let Some(found) = foreign.iter().find(|words| text.contains(**words)) {
            text = Cow::Owned(text.replace(found, english));
        }
    }
    // Go, zsh and others write it without a capital.
    for (other, english) in
        [("cannot allocate memory", ENOMEM), ("resource temporarily unavailable", EAGAIN)]
    {
        if text.contains(other) {
            text = Cow::Owned(text.replace(other, english));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_all_languages_are_understood() {
        for (message, english) in [
            ("fork: Nicht genügend Hauptspeicher verfügbar", "fork: Cannot allocate memory"),
            ("fork: 资源暂时不可用", "fork: Resource temporarily unavailable"),
            ("x: メモリを確保できません", "x: Cannot allocate memory"),
            (
                "fork/exec /x: resource temporarily unavailable",
                "fork/exec /x: Resource temporarily unavailable",
            ),
            ("no error", "no error"),
        ] {
            assert_eq!(in_english(message), english);
        }
    }

    #[test]
    fn each_needle_is_part_of_the_words_that_it_stands_for() {
        let (memory, _) = WORDS[0];
        for needle in NEEDLES {
            assert!(memory.iter().any(|words| words.contains(needle)), "{needle}");
        }
    }
}
