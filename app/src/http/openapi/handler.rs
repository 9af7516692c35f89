//! What a handler's type tells of its operation: what its extractors take, and what it answers with.

use std::future::Future;

use axum::{
    Json,
    extract::{Path, Query, RawQuery, Request, State, rejection::QueryRejection},
    http::{HeaderMap, Method},
};
use schemars::JsonSchema;

use super::Operation;
use crate::{
    auth::Client,
    error_code::ErrorCode,
    http::{error::ApiError, json_body::JsonBody},
};

/// An extractor. By default it takes nothing that the client decides, or its handler's answer describes it.
pub trait Input {
    fn describe(_: &mut Operation<'_>) {}
}

/// What a handler answers with.
pub trait Output {
    fn describe(operation: &mut Operation<'_>);
}

/// A handler of axum; `T` is what axum knows it by: the tuple of its extractors, after a marker.
pub trait Described<T> {
    fn describe(operation: &mut Operation<'_>);
}

macro_rules! described {
    ($($input:ident)*) => {
        impl<F, M, $($input: Input,)* R, O: Output> Described<(M, $($input,)*)> for F
        where
            F: FnOnce($($input),*) -> R,
            R: Future<Output = O>,
        {
            fn describe(operation: &mut Operation<'_>) {
                $($input::describe(operation);)*
                O::describe(operation);
            }
        }
    };
}

described! {}
described! { A }
described! { A B }
described! { A B C }
described! { A B C D }
described! { A B C D E }
described! { A B C D E F1 }
described! { A B C D E F1 G }
described! { A B C D E F1 G H }

impl<T> Input for State<T> {}
impl Input for Client {}
impl Input for HeaderMap {}
impl Input for Method {}
impl Input for RawQuery {}
impl Input for Request {}

impl Input for Path<String> {
    fn describe(operation: &mut Operation<'_>) {
        operation.path_parameter::<String>();
    }
}

impl<T: JsonSchema> Input for Query<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.query::<T>();
        operation.errors(&[ErrorCode::BadRequest]);
    }
}

/// The handler answers a rejection with a code of its own.
impl<T: JsonSchema> Input for Result<Query<T>, QueryRejection> {
    fn describe(operation: &mut Operation<'_>) {
        operation.query::<T>();
    }
}

impl<T: JsonSchema> Input for JsonBody<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.json_body::<T>();
        operation.errors(&[ErrorCode::BadJson, ErrorCode::TooLarge]);
    }
}

impl Output for () {
    fn describe(_: &mut Operation<'_>) {}
}

impl<T: JsonSchema> Output for Json<T> {
    fn describe(operation: &mut Operation<'_>) {
        operation.answer_json::<T>();
    }
}

/// The route names the errors.
impl<T: Output> Output for Result<T, ApiError> {
    fn describe(operation: &mut Operation<'_>) {
        T::describe(operation);
    }
}
