//! Rules about what is logged, and about tracing.

use crate::{
    config::{
        file::{
            File,
            logging::{AccessFormat, OtlpProtocol},
        },
        path::Path,
        problem::Code,
        units::{Fault, Name},
        validate::Review,
    },
    model::BackendAddress,
};

pub(crate) fn review(file: &File, review: &mut Review<'_>) {
    let logging = Path::default().key("logging");
    if let Some(access) = &file.logging.access {
        let path = logging.key("access");
        for (key, names) in [
            ("request_headers", &access.request_headers),
            ("response_headers", &access.response_headers),
        ] {
            header_names(names, &path.key(key), review);
        }
        let fields = path.key("fields");
        if let Some(index) = repeated(&access.fields)
            && review.is_whole(&fields)
        {
            let message = format!("the field `{}` is there twice", access.fields[index].0.name());
            review.report(Code::Contradiction, &fields.item(index), message, "remove one of them");
        }
        if matches!(access.format, AccessFormat::Combined) {
            for key in ["fields", "request_headers", "response_headers"] {
                no_effect(&path.key(key), "`format: combined` has fields of its own", review);
            }
        }
        if access.file.is_some()
            && access.file == file.logging.file
            && review.is_sound(&[&path.key("file"), &logging.key("file")])
        {
            let message = "the log and the access log would be written into one file";
            review.report(Code::Contradiction, &path.key("file"), message, "name another file");
        }
    }
    collector(file, review);
}

fn collector(file: &File, review: &mut Review<'_>) {
    let Some(otlp) = file.tracing.as_ref().and_then(|it| it.otlp.as_ref()) else { return };
    let path = Path::default().key("tracing").key("otlp");
    let endpoint = path.key("endpoint");
    match &otlp.endpoint.address {
        BackendAddress::Unix(_) if review.is_sound(&[&endpoint]) => review.report(
            Code::Contradiction,
            &endpoint,
            "spans are sent over TCP only",
            "write scheme, host and port: `http://127.0.0.1:4318`",
        ),
        BackendAddress::Tcp { tls: false, .. } => {
            no_effect(&path.key("ca"), "an `http` endpoint shows no certificate", review);
        }
        BackendAddress::Tcp { .. } | BackendAddress::Unix(_) => {}
    }
    if otlp.protocol == OtlpProtocol::Grpc {
        no_effect(&path.key("path"), "gRPC has a path of its own", review);
    }
}

fn no_effect(path: &Path, why: &str, review: &mut Review<'_>) {
    if review.is_written(path) && review.is_sound(&[path]) {
        review.report(Code::NoEffect, path, format!("this has no effect: {why}"), "remove it");
    }
}

fn header_names(names: &[Name], path: &Path, review: &mut Review<'_>) {
    for (index, name) in names.iter().enumerate() {
        let at = path.item(index);
        if http::HeaderName::from_bytes(name.0.as_bytes()).is_err() && review.is_sound(&[&at]) {
            let Fault { message, remedy } =
                Fault::new(format!("`{}` is no header's name", name.0), "write one: `X-Tenant`");
            review.report(Code::BadValue, &at, message, remedy);
        }
    }
    if let Some(index) = repeated(names)
        && review.is_whole(path)
    {
        let message = format!("`{}` is there twice", names[index].0);
        review.report(Code::Contradiction, &path.item(index), message, "remove one of them");
    }
}

/// Returns the index of the first that was there before.
fn repeated<T: PartialEq>(list: &[T]) -> Option<usize> {
    (1..list.len()).find(|&at| list[..at].contains(&list[at]))
}
