//! A router that knows its routes, which axum's does not tell.

use axum::{
    Router,
    handler::Handler,
    http::Method,
    routing::{MethodFilter, on},
};

use super::state::AppState;

/// Routes with a common limit on their bodies.
#[derive(Default)]
pub struct Routes {
    pub router: Router<AppState>,
    /// Every method and path: `tests/service/routes.txt` lists them, and the test of access covers that list.
    pub list: Vec<(Method, &'static str)>,
}

impl Routes {
    pub fn on<H: Handler<T, AppState>, T: 'static>(mut self, method: Method, path: &'static str, handler: H) -> Self {
        let filter = MethodFilter::try_from(method.clone()).expect("axum has a filter for every method used here");
        self.list.push((method, path));
        self.router = self.router.route(path, on(filter, handler));
        self
    }
}
