//! What tokens promise, and everything that is not one.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const NOW: Millis = 1_800_000_000_000;

fn tokens() -> Tokens {
    Tokens::new(SECRET)
}

fn claims() -> Claims {
    Claims {
        user_id: UserId::new(42).unwrap(),
        session: SessionId(0xfeed),
        issued_at: NOW,
        expires_at: NOW + 60_000,
    }
}

fn wire() -> Value {
    json!({"sub": "42", "sid": "0000000000000000000000000000feed", "iat": NOW / 1000,
        "exp": NOW / 1000 + 60, "iss": "parlor"})
}

/// Properly signed with our secret, whatever it says.
fn signed(header: &Header, claims: &Value) -> String {
    jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(SECRET)).unwrap()
}

fn signed_with(field: &str, value: Value) -> String {
    let mut claims = wire();
    claims[field] = value;
    signed(&Header::default(), &claims)
}

fn refused(token: &str) -> bool {
    tokens().verify(token, NOW).is_none()
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        for index in 0..=chunk.len() {
            let six = (bits >> (18 - 6 * index)) & 63;
            text.push(char::from(ALPHABET[six as usize]));
        }
    }
    text
}

#[test]
fn what_is_minted_is_verified() {
    let token = tokens().mint(&claims()).unwrap();
    assert_eq!(tokens().verify(&token, NOW), Some(claims()));
    assert_eq!(tokens().verify(&signed(&Header::default(), &wire()), NOW), Some(claims()));
}

#[test]
fn a_minted_token_says_what_is_documented() {
    let token = tokens().mint(&claims()).unwrap();
    let parts: Vec<_> = token.split('.').collect();
    assert_eq!(parts.len(), 3);
    assert_eq!(parts[0], base64(br#"{"typ":"JWT","alg":"HS256"}"#));
    let said = jsonwebtoken::dangerous::insecure_decode::<Value>(&token).unwrap();
    assert_eq!(said.claims, wire());
}

#[test]
fn a_token_ends_at_its_second_without_leeway() {
    let token = tokens().mint(&claims()).unwrap();
    assert!(tokens().verify(&token, NOW + 59_999).is_some());
    assert!(tokens().verify(&token, NOW + 60_000).is_none());
    assert!(tokens().verify(&token, Millis::MAX).is_none());
}

#[test]
fn lasting_claims_are_whole_seconds_and_cannot_overflow() {
    let user = UserId::new(1).unwrap();
    let claims = Claims::lasting(user, SessionId(1), NOW + 1_999, Duration::from_millis(60_500));
    assert_eq!((claims.issued_at, claims.expires_at), (NOW + 1_000, NOW + 62_000));
    let token = tokens().mint(&claims).unwrap();
    assert_eq!(tokens().verify(&token, NOW + 1_999), Some(claims));
    let claims = Claims::lasting(user, SessionId(1), NOW, Duration::MAX);
    let token = tokens().mint(&claims).unwrap();
    assert_eq!(tokens().verify(&token, NOW), Some(claims));
}

#[test]
fn only_our_algorithm_is_accepted() {
    for algorithm in [Algorithm::HS384, Algorithm::HS512] {
        assert!(refused(&signed(&Header::new(algorithm), &wire())), "{algorithm:?}");
    }
    let good = signed(&Header::default(), &wire());
    let (_, payload_and_signature) = good.split_once('.').unwrap();
    let (payload, signature) = payload_and_signature.split_once('.').unwrap();
    for algorithm in ["none", "None", "NONE", "RS256", "ES256", "EdDSA", "PS256", "hs256", ""] {
        let header = base64(format!(r#"{{"typ":"JWT","alg":"{algorithm}"}}"#).as_bytes());
        assert!(refused(&format!("{header}.{payload}.{signature}")), "{algorithm}");
        assert!(refused(&format!("{header}.{payload}.")), "{algorithm} unsigned");
    }
}

#[test]
fn another_secret_is_refused() {
    for secret in [&b""[..], b"0123456789abcdef0123456789abcdeF", &SECRET[1..]] {
        let token = Tokens::new(secret).mint(&claims()).unwrap();
        assert!(refused(&token), "{secret:?}");
        assert!(Tokens::new(secret).verify(&token, NOW).is_some(), "{secret:?}");
    }
}

#[test]
fn every_claim_is_required() {
    for field in ["sub", "sid", "iat", "exp", "iss"] {
        let mut claims = wire();
        claims.as_object_mut().unwrap().remove(field);
        assert!(refused(&signed(&Header::default(), &claims)), "{field}");
        assert!(refused(&signed_with(field, Value::Null)), "{field}");
    }
    assert!(!refused(&signed_with("more", json!(1))), "other claims are ignored");
}

#[test]
fn a_foreign_issuer_is_refused() {
    for iss in [json!("Parlor"), json!("parlor "), json!(""), json!(["parlor"]), json!(1)] {
        assert!(refused(&signed_with("iss", iss.clone())), "{iss}");
    }
}

#[test]
fn a_subject_is_one_positive_integer_in_one_spelling() {
    for sub in ["", "0", "-1", "+42", "042", "42 ", " 42", "4_2", "0x2a", "4.2", "1e3", "٤٢"] {
        assert!(refused(&signed_with("sub", json!(sub))), "{sub}");
    }
    assert!(refused(&signed_with("sub", json!(42))));
    assert!(refused(&signed_with("sub", json!(SAFE_INTEGER_END.to_string()))));
    assert!(refused(&signed_with("sub", json!("18446744073709551616"))));
    assert!(!refused(&signed_with("sub", json!((SAFE_INTEGER_END - 1).to_string()))));
}

#[test]
fn a_session_is_32_digits() {
    for sid in ["", "feed", &"F".repeat(32), &"0".repeat(33), &"g".repeat(32), &"é".repeat(16)] {
        assert!(refused(&signed_with("sid", json!(sid))), "{sid}");
    }
}

#[test]
fn times_are_whole_seconds_that_stay_exact() {
    for at in [
        json!(-1),
        json!(1.8e9 + 0.5),
        json!("1800000060"),
        json!(u64::MAX),
        json!(SAFE_INTEGER_END / 1000 + 1),
    ] {
        assert!(refused(&signed_with("exp", at.clone())), "exp {at}");
        assert!(refused(&signed_with("iat", at.clone())), "iat {at}");
    }
}

#[test]
fn what_a_token_demands_and_we_do_not_know_is_refused() {
    let header = Header { crit: Some(vec!["b64".to_owned()]), ..Header::default() };
    assert!(refused(&signed(&header, &wire())));
    assert!(refused(&signed_with("aud", json!("somebody else"))));
}

#[test]
fn a_doubled_claim_is_refused() {
    let once = wire().to_string();
    let twice = once.replacen('{', "{\"sub\":\"1\",", 1);
    let sign = |said: &str| {
        let message = format!("{}.{}", base64(br#"{"alg":"HS256"}"#), base64(said.as_bytes()));
        let key = EncodingKey::from_secret(SECRET);
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256);
        format!("{message}.{}", signature.unwrap())
    };
    assert!(!refused(&sign(&once)));
    assert!(refused(&sign(&twice)));
}

#[test]
fn a_long_token_is_refused_however_well_signed() {
    let padded = |length| signed_with("more", json!("x".repeat(length)));
    assert!(padded(1_300).len() <= TOKEN_BYTES);
    assert!(!refused(&padded(1_300)));
    assert!(padded(1_500).len() > TOKEN_BYTES);
    assert!(refused(&padded(1_500)));
}

#[test]
fn every_flipped_bit_is_noticed() {
    let token = tokens().mint(&claims()).unwrap();
    for (index, bit) in (0..token.len()).flat_map(|index| (0..8).map(move |bit| (index, bit))) {
        let mut bytes = token.clone().into_bytes();
        bytes[index] ^= 1 << bit;
        // Flipping the highest bit leaves ASCII, and then the text is no text at all.
        if let Ok(flipped) = String::from_utf8(bytes) {
            assert!(refused(&flipped), "byte {index}, bit {bit}");
        }
    }
}

#[test]
fn every_truncation_and_every_addition_is_noticed() {
    let token = tokens().mint(&claims()).unwrap();
    for length in 0..token.len() {
        assert!(refused(&token[..length]), "{length} bytes");
        assert!(refused(&token[length + 1..]), "without the first {} bytes", length + 1);
    }
    for added in ["A", "=", ".", " ", "\n", "\0", ".x"] {
        assert!(refused(&format!("{token}{added}")), "{added:?} behind");
        assert!(refused(&format!("{added}{token}")), "{added:?} before");
    }
    for garbage in ["", ".", "..", "...", "a.b.c", "null", "é.é.é", "Bearer x"] {
        assert!(refused(garbage), "{garbage}");
    }
}

#[test]
fn nothing_shows_the_secret() {
    let shown = format!("{:?}", tokens());
    assert_eq!(shown, "Tokens { .. }");
}

proptest! {
    #[test]
    fn claims_survive(
        user in 1..SAFE_INTEGER_END,
        session: u128,
        now in 0..1u64 << 45,
        life in 1..1u64 << 32,
    ) {
        let user = UserId::new(user).unwrap();
        let life = Duration::from_secs(life);
        let claims = Claims::lasting(user, SessionId(session), now, life);
        let token = tokens().mint(&claims).unwrap();
        prop_assert!(token.len() < TOKEN_BYTES / 4);
        prop_assert_eq!(tokens().verify(&token, now), Some(claims));
        prop_assert_eq!(tokens().verify(&token, claims.expires_at), None);
    }

    #[test]
    fn no_text_panics_and_none_is_a_token(text: String, now: u64) {
        prop_assert_eq!(tokens().verify(&text, now), None);
    }

    #[test]
    fn nothing_in_the_shape_of_a_token_panics(
        header in "[A-Za-z0-9_-]{0,60}",
        claims in "[A-Za-z0-9_-]{0,60}",
        signature in "[A-Za-z0-9_-]{0,43}",
        now: u64,
    ) {
        let text = format!("{header}.{claims}.{signature}");
        prop_assert_eq!(tokens().verify(&text, now), None);
    }

    #[test]
    fn no_signed_claims_panic(sub: String, sid: String, iat: u64, exp: u64, iss: String) {
        let said = json!({"sub": sub, "sid": sid, "iat": iat, "exp": exp, "iss": iss});
        prop_assert_eq!(tokens().verify(&signed(&Header::default(), &said), 0), None);
    }

    #[test]
    fn a_changed_byte_is_noticed(index: prop::sample::Index, byte in 0u8..128) {
        let token = tokens().mint(&claims()).unwrap();
        let mut bytes = token.clone().into_bytes();
        let index = index.index(bytes.len());
        prop_assume!(bytes[index] != byte);
        bytes[index] = byte;
        prop_assert!(refused(&String::from_utf8(bytes).unwrap()));
    }
}
