//! The functions of Sprig that are pure: what a call gives depends on its arguments and the time of
//! the read alone.
//!
//! They give what Sprig 3.3 gives, which tests hold against Sprig itself (`tests/golden/sprig`).
//! What differs is listed there with its reasons. The general ones:
//! * values never change: see [`in_place`];
//! * a time is text: see [`dates`];
//! * texts are UTF-8: what would cut a character in two leaves it out, and what decodes to
//!   something else is an error;
//! * there is one type of integer and one of list: see [`kinds`];
//! * what would be huge is refused before it is made: see [`bounds`].
//!
//! Functions whose results carry the form of their values into YAML (`quote`, `indent`, `trim`,
//! `toYaml`, `toJson`, `fromJson` and the like), `slice` of texts, and `fail` are not here.

mod bounds;
mod call;
mod cases;
mod cutting;
mod dates;
mod defaults;
mod dicts;
mod encoding;
mod in_place;
mod kinds;
mod lists;
mod math;
mod paths;
mod printing;
mod regexes;
mod strings;
mod urls;
mod versions;
mod words;

pub(super) use call::{Call, Output, Reason};
pub(super) use in_place::assign_changes;
pub(super) use printing::{printed, printed_float};
pub(super) use regexes::{Effort, Patterns};

/// A function. Arguments of the wrong number or kind are errors; it never panics.
pub(super) type Function = fn(&Call) -> Output;

/// All functions by name.
pub(super) const ALL: &[(&str, Function)] = &[
    // Texts
    ("abbrev", cutting::abbrev),
    ("abbrevboth", cutting::abbrevboth),
    ("camelcase", words::camelcase),
    ("cat", strings::cat),
    ("contains", strings::contains),
    ("hasPrefix", strings::has_prefix),
    ("hasSuffix", strings::has_suffix),
    ("hello", strings::hello),
    ("initials", cutting::initials),
    ("join", strings::join),
    ("kebabcase", words::kebabcase),
    ("lower", cases::to_lower),
    ("nospace", cutting::nospace),
    ("plural", strings::plural),
    ("repeat", strings::repeat),
    ("replace", strings::replace),
    ("snakecase", words::snakecase),
    ("split", strings::split),
    ("splitList", strings::split_list),
    ("splitn", strings::splitn),
    ("substr", cutting::substr),
    ("swapcase", cases::swapcase),
    ("title", cases::to_title),
    ("toString", strings::to_string),
    ("trimAll", cutting::trim_all),
    ("trimPrefix", cutting::trim_prefix),
    ("trimSuffix", cutting::trim_suffix),
    ("trimall", cutting::trim_all),
    ("trunc", cutting::trunc),
    ("untitle", cases::untitle),
    ("upper", cases::to_upper),
    ("wrap", cutting::wrap),
    ("wrapWith", cutting::wrap_with),
    // Numbers
    ("add", math::add),
    ("add1", math::add1),
    ("add1f", math::add1f),
    ("addf", math::addf),
    ("atoi", math::atoi),
    ("biggest", math::max),
    ("ceil", math::ceil),
    ("div", math::div),
    ("divf", math::divf),
    ("float64", math::float64),
    ("floor", math::floor),
    ("int", math::int),
    ("int64", math::int),
    ("max", math::max),
    ("maxf", math::maxf),
    ("min", math::min),
    ("minf", math::minf),
    ("mod", math::modulo),
    ("mul", math::mul),
    ("mulf", math::mulf),
    ("round", math::round),
    ("seq", math::seq),
    ("sub", math::sub),
    ("subf", math::subf),
    ("toDecimal", math::to_decimal),
    ("until", math::until),
    ("untilStep", math::until_step),
    // Lists
    ("append", lists::append),
    ("chunk", lists::chunk),
    ("compact", lists::compact),
    ("concat", lists::concat),
    ("first", lists::first),
    ("has", lists::has),
    ("initial", lists::initial),
    ("last", lists::last),
    ("list", lists::list),
    ("mustAppend", lists::append),
    ("mustChunk", lists::chunk),
    ("mustCompact", lists::compact),
    ("mustFirst", lists::first),
    ("mustHas", lists::has),
    ("mustInitial", lists::initial),
    ("mustLast", lists::last),
    ("mustPrepend", lists::prepend),
    ("mustPush", lists::append),
    ("mustRest", lists::rest),
    ("mustReverse", lists::reverse),
    ("mustSlice", lists::slice),
    ("mustUniq", lists::uniq),
    ("mustWithout", lists::without),
    ("prepend", lists::prepend),
    ("push", lists::append),
    ("rest", lists::rest),
    ("reverse", lists::reverse),
    ("sortAlpha", lists::sort_alpha),
    ("toStrings", lists::to_strings),
    ("tuple", lists::list),
    ("uniq", lists::uniq),
    ("without", lists::without),
    // Dicts
    ("dict", dicts::dict),
    ("dig", dicts::dig),
    ("get", dicts::get),
    ("hasKey", dicts::has_key),
    ("keys", dicts::keys),
    ("merge", dicts::merge),
    ("mergeOverwrite", dicts::merge_overwrite),
    ("mustMerge", dicts::merge),
    ("mustMergeOverwrite", dicts::merge_overwrite),
    ("omit", dicts::omit),
    ("pick", dicts::pick),
    ("pluck", dicts::pluck),
    ("set", dicts::set),
    ("unset", dicts::unset),
    ("values", dicts::values),
    // Defaults and kinds
    ("all", defaults::all),
    ("any", defaults::any),
    ("coalesce", defaults::coalesce),
    ("deepCopy", defaults::copy),
    ("deepEqual", kinds::deep_equal),
    ("default", defaults::default),
    ("empty", defaults::empty),
    ("kindIs", kinds::kind_is),
    ("kindOf", kinds::kind_of),
    ("mustDeepCopy", defaults::copy),
    ("ternary", defaults::ternary),
    ("typeIs", kinds::type_is),
    ("typeIsLike", kinds::type_is),
    ("typeOf", kinds::type_of),
    // Times
    ("ago", dates::ago),
    ("date", dates::date),
    ("dateInZone", dates::date_in_zone),
    ("dateModify", dates::date_modify),
    ("date_in_zone", dates::date_in_zone),
    ("date_modify", dates::date_modify),
    ("duration", dates::duration),
    ("durationRound", dates::duration_round),
    ("htmlDate", dates::html_date),
    ("htmlDateInZone", dates::html_date_in_zone),
    ("mustDateModify", dates::must_date_modify),
    ("mustToDate", dates::must_to_date),
    ("must_date_modify", dates::must_date_modify),
    ("now", dates::now),
    ("toDate", dates::to_date),
    ("unixEpoch", dates::unix_epoch),
    // Encodings and checksums
    ("adler32sum", encoding::adler32sum),
    ("b32dec", encoding::b32dec),
    ("b32enc", encoding::b32enc),
    ("b64dec", encoding::b64dec),
    ("b64enc", encoding::b64enc),
    ("sha1sum", encoding::sha1sum),
    ("sha256sum", encoding::sha256sum),
    ("sha512sum", encoding::sha512sum),
    // Regular expressions
    ("mustRegexFind", regexes::find),
    ("mustRegexFindAll", regexes::find_all),
    ("mustRegexMatch", regexes::is_match),
    ("mustRegexReplaceAll", regexes::replace_all),
    ("mustRegexReplaceAllLiteral", regexes::replace_all_literal),
    ("mustRegexSplit", regexes::split),
    ("regexFind", regexes::find),
    ("regexFindAll", regexes::find_all),
    ("regexMatch", regexes::is_match),
    ("regexQuoteMeta", regexes::quote_meta),
    ("regexReplaceAll", regexes::replace_all),
    ("regexReplaceAllLiteral", regexes::replace_all_literal),
    ("regexSplit", regexes::split),
    // Versions, paths and URLs
    ("base", paths::base),
    ("clean", paths::clean),
    ("dir", paths::dir),
    ("ext", paths::ext),
    ("isAbs", paths::is_abs),
    ("osBase", paths::base),
    ("osClean", paths::clean),
    ("osDir", paths::dir),
    ("osExt", paths::ext),
    ("osIsAbs", paths::is_abs),
    ("semver", versions::semver),
    ("semverCompare", versions::semver_compare),
    ("urlJoin", urls::url_join),
    ("urlParse", urls::url_parse),
];

const RANDOM: &str = "gives another value on each render, so that the object would never come to rest";
const SECRETS: &str = "makes keys, certificates or passwords, which belong into a Secret and not into a template";
const CIPHER: &str = "works with secret keys, which do not belong into a template";
const ENVIRONMENT: &str = "reads the operator's environment, which templates may not see";

/// Functions of Sprig that there are not, and why: "`env` reads the operator's environment, ...".
pub(super) const REFUSED: &[(&str, &str)] = &[
    ("bcrypt", RANDOM),
    ("buildCustomCert", SECRETS),
    ("decryptAES", CIPHER),
    ("derivePassword", SECRETS),
    ("encryptAES", RANDOM),
    ("env", ENVIRONMENT),
    ("expandenv", ENVIRONMENT),
    ("genCA", SECRETS),
    ("genCAWithKey", SECRETS),
    ("genPrivateKey", SECRETS),
    ("genSelfSignedCert", SECRETS),
    ("genSelfSignedCertWithKey", SECRETS),
    ("genSignedCert", SECRETS),
    ("genSignedCertWithKey", SECRETS),
    ("getHostByName", "asks the network, which templates may not reach"),
    ("htpasswd", RANDOM),
    ("randAlpha", RANDOM),
    ("randAlphaNum", RANDOM),
    ("randAscii", RANDOM),
    ("randBytes", RANDOM),
    ("randInt", RANDOM),
    ("randNumeric", RANDOM),
    ("shuffle", RANDOM),
    ("uuidv4", RANDOM),
];

#[cfg(test)]
mod tests;
