//! What a source of the C face declares, read with cbindgen's own parser.

use crate::Result;
use std::path::{Path, PathBuf};

/// A struct of which C programs see the name alone.
pub struct Opaque {
    /// Its name.
    pub name: String,
    /// Its doc comment, line by line.
    pub comment: Vec<String>,
}

/// The items of a header's sources, in their order.
#[derive(Default)]
pub struct Source {
    /// `#[no_mangle]` functions.
    pub functions: Vec<String>,
    /// `#[no_mangle]` objects.
    pub statics: Vec<String>,
    /// What it takes from C itself, and does not declare to others.
    pub foreign: Vec<String>,
    /// Public constants.
    pub constants: Vec<String>,
    /// Public enums.
    pub enums: Vec<String>,
    /// Public structs whose members C programs see.
    pub structs: Vec<String>,
    /// Public structs that hold nothing but `_private`.
    pub opaque: Vec<Opaque>,
    /// Public type aliases.
    pub aliases: Vec<String>,
}

/// Reads the sources of one header.
pub fn read_all(paths: &[PathBuf]) -> Result<Source> {
    let mut source = Source::default();
    for path in paths {
        read_into(&mut source, path)?;
    }
    Ok(source)
}

fn read_into(source: &mut Source, path: &Path) -> Result<()> {
    let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let text = std::fs::read_to_string(path).map_err(|e| told(&e))?;
    let file = syn::parse_file(&text).map_err(|e| told(&e))?;
    for item in &file.items {
        match item {
            syn::Item::Fn(item) if is_exported(&item.attrs) => {
                source.functions.push(item.sig.ident.to_string());
            }
            syn::Item::Static(item) if is_exported(&item.attrs) => {
                source.statics.push(item.ident.to_string());
            }
            syn::Item::ForeignMod(item) => {
                source
                    .foreign
                    .extend(item.items.iter().filter_map(foreign_name));
            }
            syn::Item::Const(item) if is_public(&item.vis) => {
                source.constants.push(item.ident.to_string());
            }
            syn::Item::Enum(item) if is_public(&item.vis) => {
                source.enums.push(item.ident.to_string());
            }
            syn::Item::Struct(item) if is_public(&item.vis) => {
                let name = item.ident.to_string();
                if is_opaque(item) {
                    let comment = doc_comment(&item.attrs);
                    source.opaque.push(Opaque { name, comment });
                } else {
                    source.structs.push(name);
                }
            }
            syn::Item::Type(item) if is_public(&item.vis) => {
                source.aliases.push(item.ident.to_string());
            }
            _ => {}
        }
    }
    Ok(())
}

fn foreign_name(item: &syn::ForeignItem) -> Option<String> {
    match item {
        syn::ForeignItem::Fn(item) => Some(item.sig.ident.to_string()),
        syn::ForeignItem::Static(item) => Some(item.ident.to_string()),
        syn::ForeignItem::Type(item) => Some(item.ident.to_string()),
        _ => None,
    }
}

fn is_public(visibility: &syn::Visibility) -> bool {
    matches!(visibility, syn::Visibility::Public(_))
}

fn is_exported(attributes: &[syn::Attribute]) -> bool {
    let mut attributes = attributes.iter();
    attributes.any(|attribute| attribute.path().is_ident("no_mangle"))
}

fn is_opaque(item: &syn::ItemStruct) -> bool {
    let private = |field: &syn::Field| field.ident.as_ref().is_some_and(|name| name == "_private");
    item.fields.len() == 1 && item.fields.iter().all(private)
}

fn doc_comment(attributes: &[syn::Attribute]) -> Vec<String> {
    let line = |attribute: &syn::Attribute| match &attribute.meta {
        syn::Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            syn::Expr::Lit(literal) => match &literal.lit {
                syn::Lit::Str(text) => Some(text.value().trim().to_owned()),
                _ => None,
            },
            _ => None,
        },
        _ => None,
    };
    attributes.iter().filter_map(line).collect()
}
