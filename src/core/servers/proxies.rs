//! Proxies and web servers whose one child is the service: ending it ends every connection, and in
//! some the cache. They are only reported.

use super::row::BLANK;
use super::{RecognisedBy, Server, ServerSetting, WorkerPolicy};

/// Its manager starts the child again, with an empty cache.
pub(super) static VARNISH: Server = Server {
    name: "Varnish",
    key: "varnish",
    by: &[RecognisedBy::Exe(&["varnishd"])],
    verified: "manual, Varnish 7.1",
    workers: WorkerPolicy::Report(
        "its child is the cache: with it go all connections and all that is cached; lower the size of its storage",
    ),
    cap: &[ServerSetting::new(
        "-s malloc, N M",
        "MiB of storage, on its command line",
        "unlimited",
    )],
    files: &[("all", "the ExecStart of varnish.service")],
    apply: "systemctl restart varnish",
    ..BLANK
};

/// Its kid serves everybody; the helpers answer the kid, and too many that exit end it.
pub(super) static SQUID: Server = Server {
    name: "Squid",
    key: "squid",
    by: &[
        RecognisedBy::Exe(&["squid"]),
        RecognisedBy::Dir("squid"),
        RecognisedBy::TitleBegins(&["(squid-"]),
    ],
    verified: "manual, Squid 5",
    workers: WorkerPolicy::Report(
        "one process serves everybody; lower cache_mem, and restart it at a quiet hour",
    ),
    cap: &[ServerSetting::new("cache_mem N MB", "MiB of objects kept in memory", "256")],
    files: &[("all", "/etc/squid/squid.conf")],
    apply: "squid -k parse && squid -k reconfigure",
    ..BLANK
};

/// Router and controller are the service; a prototype forks the processes of one application, which
/// its own limit recycles.
pub(super) static UNIT: Server = Server {
    name: "nginx unit",
    key: "unit",
    by: &[RecognisedBy::Exe(&["unitd"]), RecognisedBy::TitleBegins(&["unit: "])],
    verified: "manual, Unit 1.30",
    workers: WorkerPolicy::Report(
        "its router is the service and its applications have no gentle signal; limit their requests",
    ),
    recycle: &[ServerSetting::new(
        "\"requests\": N",
        "requests, under \"limits\" of the application",
        "0: never",
    )],
    cap: &[ServerSetting::new("\"processes\": N", "processes of the application", "1")],
    files: &[("all", "its control socket: PUT /config/applications/NAME/limits")],
    apply: "curl -X PUT --unix-socket /var/run/control.unit.sock",
    ..BLANK
};

/// Its child serves everybody, also where the license allows several.
pub(super) static LITESPEED: Server = Server {
    name: "LiteSpeed",
    key: "litespeed",
    by: &[
        RecognisedBy::Exe(&["litespeed", "openlitespeed", "lshttpd", "lscgid"]),
        RecognisedBy::TitleBegins(&["litespeed (", "openlitespeed (", "httpd (lscgid)"]),
    ],
    verified: "manual, OpenLiteSpeed 1.7",
    workers: WorkerPolicy::Report(
        "its child serves everybody; `systemctl reload lsws` replaces it gently",
    ),
    apply: "systemctl reload lsws",
    ..BLANK
};

/// Servers of a single process, or of several with a task each.
pub(super) static DAEMON: Server = Server {
    name: "daemon",
    key: "daemon",
    by: &[
        // Each of their processes has a task of its own, or a session.
        RecognisedBy::Title(&[
            "munin-node",
            "fail2ban-server",
            "salt-master",
            "salt-minion",
            "salt-api",
            "smokeping",
            "otrs.Daemon.pl",
            "radicale",
        ]),
        RecognisedBy::Exe(&[
            "traefik",
            "envoy",
            "caddy",
            "frankenphp",
            "h2o",
            "pound",
            "stunnel",
            "stunnel4",
            "hitch",
            "nghttpx",
            "traffic_server",
            "traffic_manager",
            "trafficserver",
            "lighttpd",
            "lighttpd-angel",
            "cherokee",
            "cherokee-worker",
            "monkey",
            "named",
            "unbound",
            "pdns_server",
            "pdns_recursor",
            "dnsmasq",
            "dnsdist",
            "knotd",
            "nsd",
            "slapd",
            "ns-slapd",
            "krb5kdc",
            "kadmind",
            "freeradius",
            "radiusd",
            "snmpd",
            "collectd",
            "munin-node",
            "asterisk",
            "freeswitch",
            "rtpengine",
            "rtpproxy",
            "janus",
            "turnserver",
            "ejabberd",
            "beam.smp",
            "prosody",
            "icecast",
            "icecast2",
            "chronyd",
            "ntpd",
            "cupsd",
            "avahi-daemon",
            "dbus-daemon",
            "rsyslogd",
            "syslog-ng",
            "auditd",
            "systemd-journald",
            "systemd-udevd",
            "NetworkManager",
            "libvirtd",
            "virtqemud",
            "qemu-system-x86_64",
            "qemu-kvm",
            "kvm",
            "containerd",
            "kubelet",
            "etcd",
            "tor",
            "openvpn",
            "charon",
            "pluto",
            "nagios",
            "nagios4",
            "icinga",
            "icinga2",
            "naemon",
            "monit",
            "netdata",
            "ossec-remoted",
            "wazuh-modulesd",
            "glusterfsd",
            "glusterfs",
            "ceph-osd",
            "ceph-mon",
            "ceph-mds",
            "ganesha.nfsd",
            "mfschunkserver",
            "minio",
            "java",
            "dotnet",
            "erl",
        ]),
    ],
    verified: "manuals",
    workers: WorkerPolicy::Report(
        "nothing is known to replace its processes, and one of them may be the whole service; restart its unit at a quiet hour",
    ),
    ..BLANK
};
