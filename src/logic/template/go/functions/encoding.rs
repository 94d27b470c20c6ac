//! Encodings and checksums.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use gotmpl::Value;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::call::{Call, Output, Reason, text};
use crate::logic::object::hexadecimal;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

pub fn b64enc(call: &Call) -> Output {
    let (s,): (&str,) = call.read()?;
    text(BASE64.encode(s))
}

/// Sprig gives the error's text where the text is not base64: here that is an error.
pub fn b64dec(call: &Call) -> Output {
    let (s,): (&str,) = call.read()?;
    decoded(BASE64.decode(unbroken(s)).ok(), "the text is not base64")
}

pub fn b32enc(call: &Call) -> Output {
    let (s,): (&str,) = call.read()?;
    let mut out = String::with_capacity(s.len().div_ceil(5) * 8);
    for group in s.as_bytes().chunks(5) {
        let mut bits = [0; 8];
        for (to, from) in bits.iter_mut().skip(3).zip(group) {
            *to = *from;
        }
        let bits = u64::from_be_bytes(bits);
        let used = (group.len() * 8).div_ceil(5);
        for place in 0..8 {
            let index = (bits >> (35 - 5 * place)) & 31;
            let letter = usize::try_from(index).ok().and_then(|index| BASE32.get(index));
            out.push(if place < used { letter.map_or('=', |letter| char::from(*letter)) } else { '=' });
        }
    }
    text(out)
}

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

pub fn b32dec(call: &Call) -> Output {
    let (s,): (&str,) = call.read()?;
    decoded(from_base32(&unbroken(s)), "the text is not base32")
}

fn from_base32(s: &str) -> Option<Vec<u8>> {
    let letters = s.trim_end_matches('=');
    // Bytes end after so many letters, and nowhere else.
    let whole = matches!(letters.len() % 8, 0 | 2 | 4 | 5 | 7);
    if !whole || !s.len().is_multiple_of(8) || s.len() - letters.len() > 6 {
        return None;
    }
    let (mut bits, mut count, mut bytes) = (0u32, 0, Vec::with_capacity(s.len() / 8 * 5));
    for letter in letters.bytes() {
        let index = BASE32.iter().position(|known| *known == letter)?;
        bits = (bits << 5 | u32::try_from(index).ok()?) & 0xfff;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    Some(bytes)
}

/// Go reads over line ends.
fn unbroken(s: &str) -> String {
    s.replace(['\r', '\n'], "")
}

fn decoded(bytes: Option<Vec<u8>>, otherwise: &'static str) -> Output {
    let bytes = bytes.ok_or(Reason::Said(otherwise))?;
    text(String::from_utf8(bytes).map_err(|_| Reason::Said("what the text decodes to is not text"))?)
}

pub fn sha1sum(call: &Call) -> Output {
    digest::<Sha1>(call)
}

pub fn sha256sum(call: &Call) -> Output {
    digest::<Sha256>(call)
}

pub fn sha512sum(call: &Call) -> Output {
    digest::<Sha512>(call)
}

fn digest<D: Digest>(call: &Call) -> Output {
    let (s,): (&str,) = call.read()?;
    text(hexadecimal(&D::digest(s)))
}

/// In decimal digits, as text.
pub fn adler32sum(call: &Call) -> Output {
    const MODULO: u32 = 65521;
    let (s,): (&str,) = call.read()?;
    let (low, high) = s.bytes().fold((1, 0), |(low, high), byte| {
        let low = (low + u32::from(byte)) % MODULO;
        (low, (high + low) % MODULO)
    });
    Ok(Value::String((high << 16 | low).to_string().into()))
}
