//! The size that a program's command line allows it: growth below it is what it was told to do.

use crate::core::model::process::Comm;
use crate::core::model::units::{GIB, KIB, MIB};

/// An option by which a program is told how much memory to use.
struct SizeOption {
    /// Programs that have it.
    programs: &'static [&'static str],
    /// The option; its value follows after `=` or a blank, or at once.
    name: &'static str,
    /// Bytes in one of a value without a unit.
    unit: u64,
}

const REDIS: &[&str] = &["redis-server", "valkey-server", "keydb-server"];
const MARIADB: &[&str] = &["mariadbd", "mysqld"];
const NODE: &[&str] = &["node", "nodejs"];
const VARNISH: &[&str] = &["varnishd", "cache-main"];

const OPTIONS: [SizeOption; 12] = [
    SizeOption { programs: REDIS, name: "--maxmemory", unit: 1 },
    SizeOption { programs: &["memcached"], name: "--memory-limit", unit: MIB },
    SizeOption { programs: &["memcached"], name: "-m", unit: MIB },
    SizeOption { programs: MARIADB, name: "--innodb-buffer-pool-size", unit: 1 },
    SizeOption { programs: MARIADB, name: "--innodb_buffer_pool_size", unit: 1 },
    SizeOption { programs: &["java"], name: "-Xmx", unit: 1 },
    SizeOption { programs: NODE, name: "--max-old-space-size", unit: MIB },
    SizeOption { programs: NODE, name: "--max_old_space_size", unit: MIB },
    SizeOption { programs: VARNISH, name: "-s", unit: 1 },
    SizeOption { programs: &["mongod"], name: "--wiredTigerCacheSizeGB", unit: GIB },
    SizeOption { programs: &["sort"], name: "--buffer-size", unit: KIB },
    SizeOption { programs: &["sort"], name: "-S", unit: KIB },
];

/// The bytes that a command line allows the program, if it has an option for that.
pub fn declared(comm: Comm, title: &str) -> Option<u64> {
    let is_of = |option: &&SizeOption| {
        option.programs.iter().any(|program| program.as_bytes() == comm.as_bytes())
    };
    OPTIONS.iter().filter(is_of).find_map(|option| {
        let mut words = title.split(' ').skip(1);
        let rest = words.find_map(|word| word.strip_prefix(option.name))?;
        let value = match rest {
            "" => words.next()?,
            glued => glued.trim_start_matches('='),
        };
        // "malloc,256m": what stands before is another setting.
        bytes(value.rsplit(',').next()?, option.unit)
    })
}

/// "400", "512m", "1.5G", "256MB", "380mb" in bytes.
fn bytes(text: &str, unit: u64) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at_checked(end)?;
    let unit = match suffix.to_ascii_lowercase().trim_end_matches('b').trim_end_matches('i') {
        "" => unit,
        "k" => KIB,
        "m" => MIB,
        "g" => GIB,
        "t" => GIB << 10,
        _ => return None,
    };
    let size = number.parse::<f64>().ok()? * unit as f64;
    (size >= MIB as f64).then_some(size as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(comm: &str, title: &str) -> Option<u64> {
        declared(Comm::new(comm.as_bytes()), title)
    }

    #[test]
    fn each_program_is_told_its_size_in_its_own_way() {
        for (comm, title, mib) in [
            ("redis-server", "redis-server --port 1 --maxmemory 380mb", 380),
            ("memcached", "memcached -m 64 -p 11211", 64),
            ("memcached", "memcached -m64", 64),
            ("mariadbd", "/usr/sbin/mariadbd --innodb-buffer-pool-size=256M", 256),
            ("java", "java -Xms1g -Xmx1536m -jar a.jar", 1536),
            ("node", "node --max-old-space-size=260 a.js", 260),
            ("varnishd", "varnishd -a :80 -s malloc,256m", 256),
            ("mongod", "mongod --wiredTigerCacheSizeGB 1.5", 1536),
            ("sort", "sort -S 290M in", 290),
        ] {
            assert_eq!(of(comm, title), Some(mib * MIB), "{title}");
        }
    }

    #[test]
    fn other_programs_and_other_words_declare_nothing() {
        assert_eq!(of("python3", "python3 -m http.server"), None);
        assert_eq!(of("memcached", "memcached -p 11211"), None);
        assert_eq!(of("java", "java -Xmx"), None);
        assert_eq!(of("sort", "sort -S 50%"), None);
        assert_eq!(of("redis-server", "redis-server --maxmemory 0"), None);
        assert_eq!(of("node", "node --max-old-space-size=\u{1F980}"), None);
    }
}
