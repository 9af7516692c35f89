//! A router that knows its routes, which axum's does not tell.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    handler::Handler,
    http::Method,
    middleware::map_response_with_state,
    response::Response,
    routing::{MethodFilter, on},
};

use super::{
    error::ApiError,
    openapi::{self, Described, Operation},
    state::AppState,
};
use crate::error_code::ErrorCode;

/// Routes with a common limit on their bodies.
#[derive(Default)]
pub struct Routes {
    pub router: Router<AppState>,
    /// `tests/service/routes.txt` lists them, and the test of access covers that list.
    pub list: Vec<Route>,
}

#[derive(Clone)]
pub struct Route {
    pub method: Method,
    pub path: &'static str,
    /// The path of its function.
    pub handler: &'static str,
    /// What it does, for the API's description.
    pub summary: &'static str,
    /// What the handler itself answers with, besides the errors of its extractors.
    pub errors: &'static [ErrorCode],
    pub describe: fn(&mut Operation<'_>),
}

impl Routes {
    pub fn on<H: Handler<T, AppState> + Described<T>, T: 'static>(
        mut self,
        method: Method,
        path: &'static str,
        handler: H,
        summary: &'static str,
        errors: &'static [ErrorCode],
    ) -> Self {
        let filter = MethodFilter::try_from(method.clone()).expect("axum has a filter for every method used here");
        let route = Route { method, path, handler: std::any::type_name::<H>(), summary, errors, describe: H::describe };
        let mut handler = on(filter, handler);
        if cfg!(debug_assertions) {
            handler = handler.layer(map_response_with_state(Arc::new(route.clone()), check_error));
        }
        self.router = self.router.route(path, handler);
        self.list.push(route);
        self
    }
}

/// Fails every test in which a handler answers with an error that its description lacks.
async fn check_error(State(route): State<Arc<Route>>, response: Response) -> Response {
    if let Some(error) = response.extensions().get::<ApiError>() {
        let Route { method, path, .. } = &*route;
        assert!(
            openapi::errors(&route).contains(&error.code),
            "{method} {path} is not described with {:?}",
            error.code
        );
    }
    response
}
