//! The codes of errors. Clients rely on them, so a released one changes neither its name nor its meaning.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Value, json};

/// Each line has a name and the HTTP status that it is answered with; its comment is its meaning in the API's description.
macro_rules! error_codes {
    ($(#[doc = $meaning:literal] $code:ident $name:literal $status:literal,)+) => {
        /// A stable code for programs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        pub enum ErrorCode {
            $(#[doc = $meaning] #[serde(rename = $name)] $code,)+
        }

        impl ErrorCode {
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$code => $name,)+ }
            }

            /// The HTTP status that it is answered with.
            pub fn status(self) -> u16 {
                match self { $(Self::$code => $status,)+ }
            }

            fn table() -> Vec<Value> {
                vec![$(json!({ "const": $name, "description": concat!($status, ":", $meaning) }),)+]
            }
        }
    };
}

error_codes! {
    /// The request is malformed.
    BadRequest "bad_request" 400,
    /// The body is not a JSON object with the expected fields.
    BadJson "bad_json" 400,
    /// The body is not a form with the expected parts, or it is incomplete.
    BadMultipart "bad_multipart" 400,
    /// A header of a resumable upload is missing or malformed.
    BadUpload "bad_upload" 400,
    /// `limit`, `skip`, `before` or `after` is not what a list takes.
    BadPaging "bad_paging" 400,
    /// The query string has a filter that is malformed.
    BadFilter "bad_filter" 400,
    /// The list of media is empty, too long or has something else than ids; or the action lacks its tags, or has none.
    BadBulk "bad_bulk" 400,
    /// The form has no part named `file`.
    MissingFile "missing_file" 400,
    /// The file has no bytes.
    EmptyFile "empty_file" 400,
    /// The name is empty, too long, or has characters that it must not have.
    InvalidName "invalid_name" 400,
    /// The description is too long, or has control characters.
    InvalidDescription "invalid_description" 400,
    /// There are too many tags, or one is empty, too long, or has control characters.
    InvalidTags "invalid_tags" 400,
    /// The user name is empty, too long, or has characters that it must not have.
    InvalidUsername "invalid_username" 400,
    /// The password is too short or too long.
    WeakPassword "weak_password" 400,
    /// The API key would have no scope.
    InvalidScopes "invalid_scopes" 400,
    /// The number of days is out of its range.
    InvalidLifetime "invalid_lifetime" 400,
    /// The items of a share are none, too many, or not all media that can be shared.
    InvalidItems "invalid_items" 400,
    /// The title is too long, or has control characters.
    InvalidTitle "invalid_title" 400,
    /// The time is malformed, past, or too far away.
    InvalidExpiry "invalid_expiry" 400,
    /// The share has no password.
    NoPassword "no_password" 400,
    /// `Idempotency-Key` is empty, too long, or not ASCII.
    InvalidIdempotencyKey "invalid_idempotency_key" 400,
    /// The type is none of those that can be declared, in exactly their spelling and without parameters.
    InvalidContentType "invalid_content_type" 400,
    /// The bearer token is missing, invalid, expired or revoked.
    Unauthorized "unauthorized" 401,
    /// The user name or the password is wrong.
    BadCredentials "bad_credentials" 401,
    /// The share has a password, and the request has no bearer token of its session.
    PasswordRequired "password_required" 401,
    /// The token is valid, but does not allow this.
    Forbidden "forbidden" 403,
    /// The first account exists already.
    BootstrapClosed "bootstrap_closed" 403,
    /// The bootstrap token is wrong.
    BadBootstrapToken "bad_bootstrap_token" 403,
    /// The invite does not exist, is used, or has expired.
    BadInvite "bad_invite" 403,
    /// The password is wrong.
    WrongPassword "wrong_password" 403,
    /// The signature of the upload's URL is wrong, or the URL has expired.
    BadSignature "bad_signature" 403,
    /// There is nothing at this path, or it is not for this account.
    NotFound "not_found" 404,
    /// The path does not support this method.
    MethodNotAllowed "method_not_allowed" 405,
    /// The request took too long.
    Timeout "timeout" 408,
    /// Another account has this user name.
    UsernameTaken "username_taken" 409,
    /// It would leave no admin.
    LastAdmin "last_admin" 409,
    /// Users delete their own account with their password, at `/api/auth/delete`.
    OwnAccount "own_account" 409,
    /// Supabase keeps the accounts: users register, log in and change their passwords there.
    AccountsElsewhere "accounts_elsewhere" 409,
    /// Another media has the same bytes.
    Duplicate "duplicate" 409,
    /// The file that the media has is not processed yet.
    Pending "pending" 409,
    /// The account has too many shares.
    TooManyShares "too_many_shares" 409,
    /// `Upload-Offset` is not how much has arrived.
    OtherOffset "other_offset" 409,
    /// The file of the upload is not in the store.
    NotUploaded "not_uploaded" 409,
    /// Files are stored in a folder of the service: upload in parts by tus, at `/api/uploads`.
    NoBucket "no_bucket" 409,
    /// A condition of the request does not hold.
    PreconditionFailed "precondition_failed" 412,
    /// Another request has changed the media since the version in `If-Match`.
    OtherVersion "other_version" 412,
    /// The store has another file than the one with this entity tag.
    OtherFile "other_file" 412,
    /// `Tus-Resumable` is not 1.0.0.
    BadTusVersion "bad_tus_version" 412,
    /// The body or the file is larger than the limit.
    TooLarge "too_large" 413,
    /// The content is of a type that the service does not take.
    UnsupportedType "unsupported_type" 415,
    /// The content is of another type than was declared.
    OtherType "other_type" 415,
    /// Browsers cannot all play the clip.
    UnsupportedCodec "unsupported_codec" 415,
    /// No byte of the range exists.
    BadRange "bad_range" 416,
    /// The picture cannot be decoded: it is corrupt or truncated.
    CorruptImage "corrupt_image" 422,
    /// The clip cannot be decoded: it is corrupt or truncated.
    CorruptVideo "corrupt_video" 422,
    /// The clip has no picture.
    NoVideoTrack "no_video_track" 422,
    /// A side of the picture has less than two pixels.
    TooSmall "too_small" 422,
    /// The picture has too many pixels, or takes too much work or memory to decode.
    TooManyPixels "too_many_pixels" 422,
    /// Processing the file failed several times.
    ProcessingFailed "processing_failed" 422,
    /// Another upload had this `Idempotency-Key`.
    IdempotencyKeyReused "idempotency_key_reused" 422,
    /// Another request is sending a part of this upload.
    Locked "locked" 423,
    /// Too many requests of this kind are in progress.
    Busy "busy" 429,
    /// Too many passwords were wrong.
    TooManyAttempts "too_many_attempts" 429,
    /// Too many uploads of this account are unfinished.
    TooManyUploads "too_many_uploads" 429,
    /// The part has another checksum than `Upload-Checksum`.
    ChecksumMismatch "checksum_mismatch" 460,
    /// The service has a fault; its log has the details under the request id.
    Internal "internal" 500,
    /// The database or the storage cannot be reached.
    Unavailable "unavailable" 503,
    /// The machine lacks the programs of this feature.
    FeatureOff "feature_off" 503,
    /// The service has no space left.
    StorageFull "storage_full" 507,
}

impl JsonSchema for ErrorCode {
    fn schema_name() -> Cow<'static, str> {
        "ErrorCode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let description =
            "A stable code for programs. Each has the HTTP status that it is answered with, and its meaning.";
        json_schema!({ "description": description, "oneOf": Self::table() })
    }
}
