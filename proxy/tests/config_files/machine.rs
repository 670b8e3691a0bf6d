//! What a machine can lack, each kind of it shown once.

use std::{
    collections::BTreeSet,
    fs,
    net::{Ipv4Addr, TcpListener},
    os::{fd::AsRawFd as _, unix::fs::PermissionsExt as _},
    path::{Path, PathBuf},
};

use bascule::config::{self, Scope, problem::Code};
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

/// A folder with what a configuration may speak of.
struct Machine {
    folder: PathBuf,
    taken: TcpListener,
    free: u16,
}

impl Machine {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("bascule-machine-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(0 <= taken.as_raw_fd());
        let free =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let machine = Self { folder, taken, free };
        machine.identity("good", (2000, 1), (4000, 1));
        machine.identity("old", (2000, 1), (2001, 1));
        machine.identity("future", (3990, 1), (4000, 1));
        machine.write("empty.pem", "nothing\n", 0o600);
        machine.write("token", &"t".repeat(40), 0o600);
        machine.write("open.token", &"t".repeat(40), 0o644);
        machine.write("short.token", "t", 0o600);
        machine
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.folder.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// Writes a certificate and its key that are valid from the first to the second year and month.
    fn identity(&self, name: &str, from: (i32, u8), to: (i32, u8)) {
        let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        params.not_before = date_time_ymd(from.0, from.1, 1);
        params.not_after = date_time_ymd(to.0, to.1, 1);
        self.write_identity(name, &params);
    }

    fn write_identity(&self, name: &str, params: &CertificateParams) {
        let key = KeyPair::generate().unwrap();
        let cert = params.self_signed(&key).unwrap();
        self.write(&format!("{name}.pem"), &cert.pem(), 0o644);
        self.write(&format!("{name}.key"), &key.serialize_pem(), 0o600);
    }

    /// Returns the codes of what is wrong with a sound configuration to which this is changed.
    fn codes(&self, what: &str, to: &str) -> BTreeSet<Code> {
        let text = format!(
            "version: 1\n\
             listeners:\n  public: {{ address: \"127.0.0.1:{free}\", limits: {{ connections: 10 }} }}\n\
             routes: [{{ pool: api }}]\n\
             pools:\n  api:\n    backends: [{{ name: a, url: \"http://127.0.0.1:1\" }}]\n\
             admin: {{ address: \"127.0.0.2:{free}\", token_file: token }}\n",
            free = self.free
        );
        assert!(text.contains(what), "{what}");
        let text = text.replace(what, to);
        let path = self.folder.join("bascule.yaml");
        fs::write(&path, text).unwrap();
        let findings = match config::check_all(&[path], Scope::Machine) {
            Ok(loaded) => loaded.findings,
            Err(rejection) => rejection.findings,
        };
        assert!(findings.problems().iter().all(|it| it.location.is_some()));
        findings.problems().iter().map(|it| it.code).collect()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.folder);
    }
}

fn tls(cert: &str, key: &str) -> String {
    format!(
        "limits: {{ connections: 10 }}, tls: {{ certificates: [{{ cert: {cert}, key: {key} }}] }}"
    )
}

const LIMITS: &str = "limits: { connections: 10 }";

#[test]
fn a_machine_that_has_everything_has_no_problems() {
    let machine = Machine::new("sound");
    assert_eq!(machine.codes("version", "version"), BTreeSet::new());
    assert_eq!(machine.codes(LIMITS, &tls("good.pem", "good.key")), BTreeSet::new());
}

#[test]
fn everything_that_a_machine_can_lack_is_found() {
    let machine = Machine::new("lacking");
    let soon = jiff::Zoned::now().checked_add(jiff::Span::new().days(3)).unwrap();
    let mut params = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    params.not_after = date_time_ymd(
        i32::from(soon.year()),
        u8::try_from(soon.month()).unwrap(),
        u8::try_from(soon.day()).unwrap(),
    );
    machine.write_identity("soon", &params);
    // Lower than what is asked for below, wherever this runs.
    let (_, hard) = rlimit::getrlimit(rlimit::Resource::NOFILE).unwrap();
    let most = hard.min(1_000_000);
    rlimit::setrlimit(rlimit::Resource::NOFILE, most.min(1024), most).unwrap();

    let taken = machine.taken.local_addr().unwrap().to_string();
    let free = format!("127.0.0.1:{}", machine.free);
    let socket = format!("unix:{}/none.sock", machine.folder.display());
    let backend = "http://127.0.0.1:1";
    let cases: [(&str, &str, Code); 15] = [
        (&free, &taken, Code::PortInUse),
        // RFC 5737: nobody has it.
        (&free, "192.0.2.1:8021", Code::CannotListen),
        (&free, "unix:/nonexistent/bascule/a.sock", Code::CannotListen),
        (LIMITS, &tls("absent.pem", "good.key"), Code::UnreadableFile),
        (LIMITS, &tls("empty.pem", "good.key"), Code::BadCertificate),
        (LIMITS, &tls("good.pem", "empty.pem"), Code::BadCertificate),
        (LIMITS, &tls("good.pem", "old.key"), Code::KeyMismatch),
        (LIMITS, &tls("old.pem", "old.key"), Code::Expired),
        (LIMITS, &tls("future.pem", "future.key"), Code::Expired),
        (LIMITS, &tls("soon.pem", "soon.key"), Code::ExpiresSoon),
        ("token_file: token", "token_file: open.token", Code::OpenSecret),
        ("token_file: token", "token_file: short.token", Code::NoSecret),
        (backend, "http://nowhere.invalid:1", Code::UnknownHost),
        (backend, &socket, Code::NoSocket),
        ("connections: 10", "connections: 1000000", Code::FewDescriptors),
    ];
    for (what, to, expected) in &cases {
        assert_eq!(machine.codes(what, to), BTreeSet::from([*expected]), "{to}");
    }
    let shown: BTreeSet<Code> = cases.iter().map(|it| it.2).collect();
    let all = Code::ALL.iter().filter(|it| it.id().starts_with("B03"));
    let missing: Vec<&Code> = all.filter(|it| !shown.contains(it)).collect();
    assert!(missing.is_empty(), "add a case for {missing:?}");
}

#[test]
fn a_relative_path_starts_at_the_folder_of_its_file() {
    let machine = Machine::new("relative");
    fs::create_dir_all(machine.folder.join("conf/more")).unwrap();
    let write = |name: &str, text: &str| fs::write(machine.folder.join(name), text).unwrap();
    write(
        "conf/base.yaml",
        "version: 1\nlisteners: { public: { address: \"127.0.0.1:8021\" } }\nroutes: [{ pool: api }]\n",
    );
    write(
        "conf/more/pools.yaml",
        "pools: { api: { backends: [{ name: a, url: \"http://127.0.0.1:1\" }] } }\n\
         admin: { token_file: ../token }\nversion: 1\n",
    );
    let paths = ["conf/base.yaml", "conf/more"].map(|it| machine.folder.join(it));
    let loaded = config::load_all(&paths).unwrap();
    let expected = machine.folder.join("conf/more/../token");
    assert_eq!(loaded.topology.admin.token_file.as_deref(), Some(Path::new(&expected)));
    assert_eq!(loaded.findings.watched().len(), 3);
}
