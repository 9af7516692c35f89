//! Which trace a request belongs to, by the header `traceparent` (<https://www.w3.org/TR/trace-context/#traceparent-header>).

use axum::http::HeaderMap;
use ulid::Ulid;

/// The trace of a request. One without a valid header begins a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// Not zero.
    pub trace: u128,
    /// The caller's span.
    pub parent: Option<u64>,
    /// Whether the caller keeps the trace.
    pub is_sampled: bool,
}

impl TraceContext {
    pub fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all("traceparent").iter();
        let given = match (values.next(), values.next()) {
            (Some(value), None) => value.to_str().ok().and_then(Self::parse),
            _ => None,
        };
        given.unwrap_or_else(|| Self { trace: Ulid::new().0, parent: None, is_sampled: true })
    }

    /// 32 hexadecimal digits.
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split('-');
        let mut field = |length: usize| {
            let is_hex = |text: &&str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            fields.next().filter(|text| text.len() == length).filter(is_hex)
        };
        let (version, trace, parent, flags) = (field(2)?, field(32)?, field(16)?, field(2)?);
        // A later version may have more fields.
        if version == "ff" || version == "00" && fields.next().is_some() {
            return None;
        }
        let trace = u128::from_str_radix(trace, 16).ok().filter(|id| *id != 0)?;
        let parent = u64::from_str_radix(parent, 16).ok().filter(|id| *id != 0)?;
        let flags = u8::from_str_radix(flags, 16).ok()?;
        Some(Self { trace, parent: Some(parent), is_sampled: flags & 1 == 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_valid_header_names_the_trace() {
        let of = |values: &[&str]| {
            TraceContext::of(&HeaderMap::from_iter(
                values.iter().map(|value| ("traceparent".parse().unwrap(), value.parse().unwrap())),
            ))
        };
        let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let context = of(&[good]);
        assert_eq!(context.trace_id(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!((context.parent, context.is_sampled), (Some(0xb7ad_6b71_6920_3331), true));
        assert!(!of(&["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"]).is_sampled);
        assert_eq!(of(&["01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later"]), context);
        for bad in [
            &[good, good][..],
            &["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later"],
            &["ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
            &["00-00000000000000000000000000000000-b7ad6b7169203331-01"],
            &["00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"],
            &["00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"],
            &["00-0af7651916cd43dd8448eb211c80319-b7ad6b7169203331-01"],
            &["00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331"],
            &["00-+af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"],
            &[""],
            &[],
        ] {
            let context = of(bad);
            assert!(context.trace != 0 && context.parent.is_none() && context.is_sampled, "{bad:?}");
            assert_ne!(context, of(bad), "each begins a trace of its own");
        }
    }
}
