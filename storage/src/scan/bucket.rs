//! Which bucket a value belongs to. A promised format: parts are named by it, so it must never change.
//!
//! ```text
//!  canonical bytes   boolean                        1 byte, 0 or 1
//!                    integers, dates, times         i64, little endian (days, or microseconds)
//!                    real, double                   f64 bits, little endian; -0 as 0, every NaN as 0x7ff8000000000000
//!                    numeric                        unscaled i128, little endian
//!                    text, json                     UTF-8
//!                    bytea, uuid                    the bytes
//!  hash              FNV-1a, 64 bits, over the canonical bytes; then MurmurHash3's finalizer fmix64
//!  bucket            hash mod count; NULL is in bucket 0
//! ```

use super::value::Value;

/// The bucket of a value, below `count`.
pub(crate) fn bucket_of(value: Option<Value<'_>>, count: u32) -> u32 {
    let Some(value) = value else { return 0 };
    let bucket = fmix64(hash(value)) % u64::from(count.max(1));
    u32::try_from(bucket).unwrap_or(0)
}

fn hash(value: Value<'_>) -> u64 {
    match value {
        Value::Bool(v) => fnv1a(&[u8::from(v)]),
        Value::Int(v) => fnv1a(&v.to_le_bytes()),
        Value::Float(v) if v.is_nan() => fnv1a(&0x7ff8_0000_0000_0000_u64.to_le_bytes()),
        Value::Float(v) => fnv1a(&(v + 0.0).to_bits().to_le_bytes()), // -0 + 0 = 0
        Value::Numeric(v) => fnv1a(&v.to_le_bytes()),
        Value::Text(v) => fnv1a(v.as_bytes()),
        Value::Bytes(v) => fnv1a(v),
    }
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

fn fmix64(mut h: u64) -> u64 {
    h = (h ^ (h >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    h = (h ^ (h >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    h ^ (h >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_hashes() {
        // Published FNV-1a vectors; the finalizer is checked by its fixed point and one known value.
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
        assert_eq!(fmix64(0), 0);
        assert_eq!(fmix64(1), 0xb456_bcfc_34c2_cb2c);
    }

    #[test]
    fn equal_values_share_a_bucket() {
        for count in [1, 2, 7, 1024] {
            assert_eq!(bucket_of(None, count), 0);
            let bucket = |v| bucket_of(Some(Value::Float(v)), count);
            assert_eq!(bucket(-0.0), bucket(0.0));
            assert_eq!(bucket(f64::NAN), bucket(-f64::NAN));
            assert!(bucket_of(Some(Value::Text("x")), count) < count);
        }
    }

    #[test]
    fn buckets_are_even() {
        let mut seen = [0; 16];
        (0..16_000).for_each(|i| seen[usize::try_from(bucket_of(Some(Value::Int(i)), 16)).unwrap()] += 1);
        assert!(seen.iter().all(|n| (850..1150).contains(n)), "{seen:?}");
    }
}
