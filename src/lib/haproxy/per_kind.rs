//! One of something for each kind of object.

use super::columns::Kind;
use std::ops::{Deref, DerefMut, Index, IndexMut};

/// For frontends, backends and servers one each, in this order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PerKind<T>(pub [T; 3]);

impl<T> PerKind<T> {
    /// What `make` makes for each kind.
    pub fn new(make: impl FnMut(Kind) -> T) -> Self {
        Self(Kind::ALL.map(make))
    }

    /// What `make` makes of each.
    pub fn each<'a, U>(&'a self, make: impl FnMut(&'a T) -> U) -> PerKind<U> {
        PerKind(self.0.each_ref().map(make))
    }
}

impl<T> Index<Kind> for PerKind<T> {
    type Output = T;

    #[inline(always)]
    fn index(&self, kind: Kind) -> &T {
        let [frontend, backend, server] = &self.0;
        match kind {
            Kind::Frontend => frontend,
            Kind::Backend => backend,
            Kind::Server => server,
        }
    }
}

impl<T> IndexMut<Kind> for PerKind<T> {
    #[inline(always)]
    fn index_mut(&mut self, kind: Kind) -> &mut T {
        let [frontend, backend, server] = &mut self.0;
        match kind {
            Kind::Frontend => frontend,
            Kind::Backend => backend,
            Kind::Server => server,
        }
    }
}

impl<T> Deref for PerKind<T> {
    type Target = [T; 3];

    fn deref(&self) -> &[T; 3] {
        &self.0
    }
}

impl<T> DerefMut for PerKind<T> {
    fn deref_mut(&mut self) -> &mut [T; 3] {
        &mut self.0
    }
}

impl<'a, T> IntoIterator for &'a PerKind<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<'a, T> IntoIterator for &'a mut PerKind<T> {
    type Item = &'a mut T;
    type IntoIter = std::slice::IterMut<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter_mut()
    }
}
