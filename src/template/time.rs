//! Moments in templates: `run_started_at` and what `modules.datetime` makes. Always UTC.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use minijinja::value::{DynObject, Object, ObjectRepr};
use minijinja::{Error, ErrorKind, State, Value};

use super::errors::{Args, problem};

/// A moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment(pub Timestamp);

impl Moment {
    fn zoned(&self) -> jiff::Zoned {
        self.0.to_zoned(TimeZone::UTC)
    }

    fn iso(&self, separator: char) -> String {
        let zoned = self.zoned();
        let micros = zoned.subsec_nanosecond() / 1000;
        let fraction = if micros == 0 { String::new() } else { format!(".{micros:06}") };
        let (date, time) = (zoned.date(), zoned.time());
        format!(
            "{date}{separator}{:02}:{:02}:{:02}{fraction}+00:00",
            time.hour(),
            time.minute(),
            time.second()
        )
    }
}

impl Object for Moment {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let zoned = self.zoned();
        Some(match key.as_str()? {
            "year" => Value::from(i64::from(zoned.year())),
            "month" => Value::from(i64::from(zoned.month())),
            "day" => Value::from(i64::from(zoned.day())),
            "hour" => Value::from(i64::from(zoned.hour())),
            "minute" => Value::from(i64::from(zoned.minute())),
            "second" => Value::from(i64::from(zoned.second())),
            "microsecond" => Value::from(i64::from(zoned.subsec_nanosecond() / 1000)),
            _ => return None,
        })
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let args = Args::new(args);
        Ok(match method {
            "strftime" => {
                let format = args.text(0, "strftime", "format")?;
                let text = jiff::fmt::strtime::format(&format, &self.zoned())
                    .map_err(|error| problem("template-value", format!("`strftime('{format}')`: {error}")))?;
                Value::from(text)
            }
            "isoformat" => Value::from(self.iso('T')),
            "date" => Value::from(self.zoned().date().to_string()),
            "timestamp" => Value::from(self.0.as_microsecond() as f64 / 1e6),
            "astimezone" | "replace" => Value::from_object(**self),
            _ => return Err(Error::from(ErrorKind::UnknownMethod)),
        })
    }

    fn custom_cmp(self: &Arc<Self>, other: &DynObject) -> Option<std::cmp::Ordering> {
        Some(self.0.cmp(&other.downcast_ref::<Self>()?.0))
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.iso(' '))
    }
}
