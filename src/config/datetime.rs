//! RFC 3339 date-times, read and written without a calendar library.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::var::Invalid;

/// `2026-01-31T23:59:59Z`, with an optional fraction, and `Z` or an offset such as `+02:00`; no leap second.
pub fn parse(text: &str) -> Result<SystemTime, Invalid> {
    scan(text).ok_or_else(|| Invalid::parse("not a date-time such as 2026-01-31T23:59:59Z"))
}

/// `2026-01-31T23:59:59Z`: whole seconds in UTC.
pub fn rfc3339(time: SystemTime) -> String {
    let time = civil(time);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        time.year, time.month, time.day, time.hour, time.minute, time.second
    )
}

/// The date and time of day of `time` in UTC; times before 1970 come out as 1970.
pub fn civil(time: SystemTime) -> Civil {
    let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's civil-from-days: years begin in March, so that the leap day is the last of its year.
    let z = days + 719_468;
    let era = z / 146_097;
    let day_of_era = z % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    Civil {
        year: year_of_era + era * 400 + u64::from(month <= 2),
        month,
        day: day_of_year - (153 * shifted + 2) / 5 + 1,
        hour: rest / 3600,
        minute: rest / 60 % 60,
        second: rest % 60,
    }
}

/// A date and a time of day in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Civil {
    /// From 1970.
    pub year: u64,
    /// 1–12.
    pub month: u64,
    /// 1–31.
    pub day: u64,
    /// 0–23.
    pub hour: u64,
    /// 0–59.
    pub minute: u64,
    /// 0–59.
    pub second: u64,
}

fn scan(text: &str) -> Option<SystemTime> {
    let mut rest = text;
    let year = digits(&mut rest, 4)?;
    let month = digits(literal(&mut rest, "-")?, 2)?;
    let day = digits(literal(&mut rest, "-")?, 2)?;
    let hour = digits(literal(&mut rest, "T")?, 2)?;
    let minute = digits(literal(&mut rest, ":")?, 2)?;
    let second = digits(literal(&mut rest, ":")?, 2)?;
    let nanos = fraction(&mut rest)?;
    let offset = offset(rest)?;
    let valid = (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !valid {
        return None;
    }
    let seconds =
        days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    let whole = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 {
        UNIX_EPOCH.checked_sub(whole)?
    } else {
        UNIX_EPOCH.checked_add(whole)?
    };
    time.checked_add(Duration::from_nanos(nanos))
}

fn literal<'r, 't>(rest: &'r mut &'t str, expected: &str) -> Option<&'r mut &'t str> {
    *rest = rest.strip_prefix(expected)?;
    Some(rest)
}

fn digits(rest: &mut &str, count: usize) -> Option<i64> {
    let (head, tail) = rest.split_at_checked(count)?;
    *rest = tail;
    head.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| head.parse().ok())?
}

/// Nanoseconds; further digits are dropped.
fn fraction(rest: &mut &str) -> Option<u64> {
    let Some(tail) = rest.strip_prefix('.') else {
        return Some(0);
    };
    let count = tail.bytes().take_while(u8::is_ascii_digit).count();
    let (head, tail) = tail.split_at_checked(count)?;
    *rest = tail;
    if head.is_empty() {
        return None;
    }
    format!("{head:0<9}").get(..9)?.parse().ok()
}

/// Seconds east of Greenwich.
fn offset(text: &str) -> Option<i64> {
    if text == "Z" {
        return Some(0);
    }
    let (sign, mut rest) = match text.strip_prefix('+') {
        Some(rest) => (1, rest),
        None => (-1, text.strip_prefix('-')?),
    };
    let hour = digits(&mut rest, 2)?;
    let minute = digits(literal(&mut rest, ":")?, 2)?;
    (rest.is_empty() && hour < 24 && minute < 60).then_some(sign * (hour * 3600 + minute * 60))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01; the inverse of the computation in [`civil`].
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_ones() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2020-01-01T00:00:00Z", 1_577_836_800),
            ("2024-02-29T00:00:00Z", 1_709_164_800),
            ("2026-01-01T02:00:00+02:00", 1_767_225_600),
            ("2025-12-31T23:30:00-00:30", 1_767_225_600),
            ("2000-03-01T00:00:00Z", 951_868_800),
        ] {
            let expected = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        assert_eq!(
            parse("1970-01-01T00:00:01.25Z"),
            Ok(UNIX_EPOCH + Duration::from_millis(1250))
        );
        assert_eq!(
            parse("1969-12-31T23:59:59Z"),
            Ok(UNIX_EPOCH - Duration::from_secs(1))
        );
    }

    #[test]
    fn bad_ones() {
        for text in [
            "",
            "now",
            "1767225600",
            "2026-01-01",
            "2026-01-01 00:00:00",
            "2026-01-01T00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:60Z",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-1-1T00:00:00Z",
            "2026-01-01t00:00:00z",
            "2026-01-01T00:00:00+0200",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00Z ",
            "+026-01-01T00:00:00Z",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn civil_is_the_inverse() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2000-02-29T23:59:59Z",
            "2023-12-31T12:34:56Z",
            "2100-03-01T01:02:03Z",
        ] {
            let c = civil(parse(text).unwrap());
            let written = format!(
                "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
                c.year, c.month, c.day, c.hour, c.minute, c.second
            );
            assert_eq!(written, text);
        }
    }
}
