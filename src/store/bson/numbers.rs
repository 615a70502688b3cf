//! Numbers of four types in one order: by value, exactly.
//!
//! NaN of either type is equal to NaN and less than every other number; -0 is equal to 0.

use std::cmp::Ordering;

use mongodb::bson::{Decimal128, RawBsonRef};

/// A number of any of BSON's types.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Number {
    /// int32 or int64.
    Int(i64),
    /// double.
    Double(f64),
    /// decimal128.
    Decimal(Decimal),
}

/// The value of a decimal128.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decimal {
    /// Not a number.
    NaN,
    /// Infinite, and whether it is negative.
    Infinite(bool),
    /// `coefficient * 10^exponent`, and whether it is negative.
    Finite {
        /// Whether it is below 0, or -0.
        negative: bool,
        /// Its digits, 34 at most.
        coefficient: u128,
        /// The power of ten that they are multiplied with.
        exponent: i32,
    },
}

/// What the exponent of a decimal128 is stored with.
const BIAS: i32 = 6176;
/// The largest coefficient.
const LARGEST: u128 = 10_u128.pow(34) - 1;

impl Decimal {
    /// The value that a decimal128 holds. One whose digits are more than 34 is 0, as the standard says.
    pub(crate) fn new(value: Decimal128) -> Self {
        let bits = u128::from_le_bytes(value.bytes());
        let negative = bits >> 127 == 1;
        let top = (bits >> 122) & 0x1f;
        if top == 0x1f {
            return Self::NaN;
        }
        if top == 0x1e {
            return Self::Infinite(negative);
        }
        // Two bits set mean a coefficient that begins with binary 100, which is always too large.
        let (stored, coefficient) = if (bits >> 125) & 3 == 3 {
            ((bits >> 111) & 0x3fff, 0)
        } else {
            ((bits >> 113) & 0x3fff, bits & ((1 << 113) - 1))
        };
        let exponent = i32::try_from(stored).unwrap_or(0) - BIAS;
        Self::Finite { negative, coefficient: if coefficient > LARGEST { 0 } else { coefficient }, exponent }
    }

    /// A whole number, exactly.
    fn of_int(value: i64) -> Self {
        Self::Finite { negative: value < 0, coefficient: u128::from(value.unsigned_abs()), exponent: 0 }
    }

    /// The first 34 digits of a double, and whether it has others behind them.
    fn of_double(value: f64) -> (Self, bool) {
        if value.is_nan() {
            return (Self::NaN, false);
        }
        if value.is_infinite() {
            return (Self::Infinite(value < 0.0), false);
        }
        // No double has more digits than that.
        let text = format!("{:.766e}", value.abs());
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let digits: String = digits.chars().filter(char::is_ascii_digit).collect();
        let (first, others) = digits.split_at(34);
        let exponent = exponent.parse::<i32>().unwrap_or(0) - 33;
        let negative = value.is_sign_negative();
        let number = Self::Finite { negative, coefficient: first.parse().unwrap_or(0), exponent };
        (number, others.bytes().any(|digit| digit != b'0'))
    }

    /// -1, 0 or 1 for what is below, at or above 0.
    fn sign(self) -> i32 {
        match self {
            Self::NaN | Self::Finite { coefficient: 0, .. } => 0,
            Self::Infinite(negative) | Self::Finite { negative, .. } => {
                if negative {
                    -1
                } else {
                    1
                }
            }
        }
    }

    fn cmp(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::NaN, Self::NaN) => return Ordering::Equal,
            (Self::NaN, _) => return Ordering::Less,
            (_, Self::NaN) => return Ordering::Greater,
            _ => {}
        }
        let sign = self.sign();
        let by_sign = sign.cmp(&other.sign());
        if by_sign != Ordering::Equal || sign == 0 {
            return by_sign;
        }
        let by_size = match (self, other) {
            (Self::Infinite(_), Self::Infinite(_)) => Ordering::Equal,
            (Self::Infinite(_), _) => Ordering::Greater,
            (_, Self::Infinite(_)) => Ordering::Less,
            (
                Self::Finite { coefficient: a, exponent: a_exponent, .. },
                Self::Finite { coefficient: b, exponent: b_exponent, .. },
            ) => compare_sizes((a, a_exponent), (b, b_exponent)),
            _ => Ordering::Equal,
        };
        if sign < 0 { by_size.reverse() } else { by_size }
    }
}

/// The order of `a * 10^x` and `b * 10^y`, neither of which is 0.
fn compare_sizes((a, x): (u128, i32), (b, y): (u128, i32)) -> Ordering {
    let digits = |n: u128| i32::try_from(n.ilog10()).unwrap_or(0);
    // Where the first digit stands; then both with as many digits behind it as u128 surely holds.
    let by_place = (digits(a) + x).cmp(&(digits(b) + y));
    let widened = |n: u128| n * 10_u128.pow(u32::try_from(37 - digits(n)).unwrap_or(0));
    by_place.then_with(|| widened(a).cmp(&widened(b)))
}

impl Number {
    /// The number of a value, where it is one.
    pub(crate) fn of(value: RawBsonRef<'_>) -> Option<Self> {
        match value {
            RawBsonRef::Int32(number) => Some(Self::Int(i64::from(number))),
            RawBsonRef::Int64(number) => Some(Self::Int(number)),
            RawBsonRef::Double(number) => Some(Self::Double(number)),
            RawBsonRef::Decimal128(number) => Some(Self::Decimal(Decimal::new(number))),
            _ => None,
        }
    }

    /// Whether it is none.
    pub(crate) fn is_nan(self) -> bool {
        match self {
            Self::Int(_) => false,
            Self::Double(number) => number.is_nan(),
            Self::Decimal(number) => number == Decimal::NaN,
        }
    }

    /// The order of two numbers by value.
    pub(crate) fn cmp(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => a.cmp(&b),
            (Self::Double(a), Self::Double(b)) => compare_doubles(a, b),
            (Self::Int(a), Self::Double(b)) => compare_int_with_double(a, b),
            (Self::Double(a), Self::Int(b)) => compare_int_with_double(b, a).reverse(),
            (Self::Decimal(a), Self::Decimal(b)) => a.cmp(b),
            (Self::Int(a), Self::Decimal(b)) => Decimal::of_int(a).cmp(b),
            (Self::Decimal(a), Self::Int(b)) => a.cmp(Decimal::of_int(b)),
            (Self::Double(a), Self::Decimal(b)) => compare_double_with_decimal(a, b),
            (Self::Decimal(a), Self::Double(b)) => compare_double_with_decimal(b, a).reverse(),
        }
    }
}

/// A number in the one form that all numbers of its value have.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Exact {
    /// A double of exactly that value; NaN is always the same, and -0 is 0.
    Double(f64),
    /// An int64 that no double is.
    Int(i64),
    /// What neither is: the sign, digits that do not end with 0, and the power of ten.
    Decimal(bool, u128, i32),
}

impl Exact {
    /// Of a number of any type.
    pub(crate) fn of(number: Number) -> Self {
        if number.is_nan() {
            return Self::Double(f64::NAN);
        }
        let near = nearest(number);
        if Number::Double(near).cmp(number).is_eq() {
            return Self::Double(near + 0.0);
        }
        match (whole(number), number) {
            (Some(whole), _) => Self::Int(whole),
            (None, Number::Decimal(Decimal::Finite { negative, mut coefficient, mut exponent })) => {
                while coefficient > 0 && coefficient % 10 == 0 {
                    coefficient /= 10;
                    exponent += 1;
                }
                Self::Decimal(negative, coefficient, exponent)
            }
            // Every other number is a double.
            _ => Self::Double(near),
        }
    }
}

/// The double next to a number. Of two numbers the greater has no lesser one.
pub(crate) fn nearest(number: Number) -> f64 {
    match number {
        #[allow(clippy::cast_precision_loss, reason = "the nearest is asked for")]
        Number::Int(number) => number as f64,
        Number::Double(number) => number,
        Number::Decimal(Decimal::NaN) => f64::NAN,
        Number::Decimal(Decimal::Infinite(negative)) => {
            if negative {
                f64::NEG_INFINITY
            } else {
                f64::INFINITY
            }
        }
        Number::Decimal(Decimal::Finite { negative, coefficient, exponent }) => {
            let sign = if negative { "-" } else { "" };
            format!("{sign}{coefficient}e{exponent}").parse().unwrap_or(f64::NAN)
        }
    }
}

/// The int64 that a number is, where it is whole and within bounds.
pub(crate) fn whole(number: Number) -> Option<i64> {
    match number {
        Number::Int(number) => Some(number),
        #[allow(clippy::cast_possible_truncation, reason = "checked: it is a whole number within bounds")]
        Number::Double(number) => {
            let within = (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&number);
            (within && number.fract() == 0.0).then_some(number as i64)
        }
        Number::Decimal(Decimal::Finite { negative, mut coefficient, mut exponent }) => {
            while exponent < 0 && coefficient % 10 == 0 && coefficient > 0 {
                coefficient /= 10;
                exponent += 1;
            }
            let power = if coefficient == 0 { 0 } else { u32::try_from(exponent).ok()? };
            let size = i128::try_from(coefficient.checked_mul(10_u128.checked_pow(power)?)?).ok()?;
            i64::try_from(if negative { -size } else { size }).ok()
        }
        Number::Decimal(_) => None,
    }
}

fn compare_doubles(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// Exactly: a double may have more digits than a decimal.
fn compare_double_with_decimal(a: f64, b: Decimal) -> Ordering {
    let (first, has_others) = Decimal::of_double(a);
    first.cmp(b).then(match (has_others, a < 0.0) {
        (false, _) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (true, true) => Ordering::Less,
    })
}

/// Exactly: not every int64 is a double.
fn compare_int_with_double(a: i64, b: f64) -> Ordering {
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    if b.is_nan() || b < -BEYOND {
        return Ordering::Greater;
    }
    if b >= BEYOND {
        return Ordering::Less;
    }
    #[allow(
        clippy::cast_possible_truncation,
        reason = "within bounds, and the part behind the point is compared after"
    )]
    let whole = b.trunc() as i64;
    let by_part = 0.0_f64.partial_cmp(&b.fract()).unwrap_or(Ordering::Equal);
    a.cmp(&whole).then(by_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(text: &str) -> Number {
        Number::Decimal(Decimal::new(text.parse().unwrap()))
    }

    #[test]
    fn numbers_are_ordered_by_value_whatever_their_types() {
        // Each is less than those behind it.
        let ascending = [
            vec![Number::Double(f64::NAN), decimal("NaN")],
            vec![Number::Double(f64::NEG_INFINITY), decimal("-Infinity")],
            vec![Number::Double(-1e300)],
            vec![Number::Int(i64::MIN), Number::Double(-9_223_372_036_854_775_808.0), decimal("-9223372036854775808")],
            vec![Number::Int(-1), Number::Double(-1.0), decimal("-1.00")],
            vec![Number::Int(0), Number::Double(-0.0), decimal("-0"), decimal("0E+10"), Number::Double(0.0)],
            vec![decimal("1E-6176")],
            vec![Number::Double(5e-324)],
            vec![decimal("0.1")],
            vec![decimal("0.1000000000000000055511151231257827")],
            vec![Number::Double(0.1)],
            vec![Number::Int(1), decimal("1.0"), Number::Double(1.0)],
            vec![Number::Double(9_007_199_254_740_992.0), Number::Int(9_007_199_254_740_992)],
            vec![Number::Int(9_007_199_254_740_993), decimal("9007199254740993")],
            vec![Number::Int(i64::MAX), decimal("9223372036854775807")],
            vec![Number::Double(9_223_372_036_854_775_808.0), decimal("9223372036854775808")],
            vec![Number::Double(f64::MAX)],
            vec![decimal("9.999999999999999999999999999999999E+6144")],
            vec![Number::Double(f64::INFINITY), decimal("Infinity")],
        ];
        for (place, equal) in ascending.iter().enumerate() {
            for (other_place, others) in ascending.iter().enumerate() {
                for (a, b) in equal.iter().flat_map(|a| others.iter().map(move |b| (*a, *b))) {
                    assert_eq!(a.cmp(b), place.cmp(&other_place), "{a:?} {b:?}");
                }
            }
        }
    }

    #[test]
    fn numbers_have_one_form_exactly_where_they_are_equal() {
        let negative_nan = f64::from_bits(f64::NAN.to_bits() | 1 << 63);
        let numbers = [
            Number::Double(f64::NAN),
            Number::Double(negative_nan),
            decimal("NaN"),
            Number::Double(f64::NEG_INFINITY),
            decimal("-Infinity"),
            Number::Int(i64::MIN),
            decimal("-9223372036854775808"),
            Number::Int(0),
            Number::Double(-0.0),
            decimal("-0E+10"),
            decimal("1E-6176"),
            Number::Double(5e-324),
            decimal("0.1"),
            decimal("0.100"),
            Number::Double(0.1),
            Number::Double(1.5),
            decimal("1.50"),
            Number::Int(1),
            decimal("1.0"),
            Number::Int(9_007_199_254_740_992),
            Number::Int(9_007_199_254_740_993),
            decimal("9007199254740993"),
            decimal("9.007199254740993E+15"),
            Number::Int(i64::MAX),
            decimal("9223372036854775807"),
            Number::Double(9_223_372_036_854_775_808.0),
            decimal("9223372036854775808"),
            decimal("1E+400"),
            Number::Double(f64::MAX),
            Number::Double(f64::INFINITY),
        ];
        let form = |number| format!("{:?}", Exact::of(number));
        for (a, b) in numbers.iter().flat_map(|a| numbers.iter().map(move |b| (*a, *b))) {
            assert_eq!(form(a) == form(b), a.cmp(b).is_eq(), "{a:?} {b:?}");
            // NaN is in no range.
            if a.cmp(b).is_gt() && !b.is_nan() {
                assert!(nearest(a) >= nearest(b), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn whole_numbers_are_taken_of_every_type() {
        for number in [Number::Int(3), Number::Double(3.0), decimal("3"), decimal("3.00"), decimal("0.3E+1")] {
            assert_eq!(whole(number), Some(3), "{number:?}");
        }
        for number in
            [Number::Double(1.5), Number::Double(1e300), Number::Double(f64::NAN), decimal("1.5"), decimal("1E+40")]
        {
            assert_eq!(whole(number), None, "{number:?}");
        }
        assert_eq!(whole(decimal("-0E+6000")), Some(0));
    }
}
