namespace Hikyaku.Config.K2hftfuse;

/// <summary>Every key of K2HFTFUSE, K2HFTFUSESVR, K2HTPDTOR and CHMPX, and why it has no meaning here, if it has none.</summary>
internal static class K2hftfuseKeys
{
    private const string Queue = "what waits lies in a log on disk that needs no sizing";
    private const string Process = "there is no CHMPX process, shared memory or message queue";
    private const string Merge = "receivers hold nothing that would have to be merged";
    private const string Control = "there is no control port: 'hikyaku status' shows what is going on, a changed file is read again at SIGHUP";
    private const string Identity = "a node is its name and port";
    private const string Words = "it changes nothing: the sections and node lists say what a file is for";
    private const string Nss = "certificates are PEM files";
    private const string Sender = "the sender says of each message that it is one";
    private const string Archive = "what waits lies in a log on disk; 'hikyaku log dump' shows it";

    private static readonly string[] QueueKeys = ["K2HTYPE", "K2HFILE", "K2HFULLMAP", "K2HINIT", "K2HMASKBIT", "K2HCMASKBIT", "K2HMAXELE", "K2HPAGESIZE", "DTORTHREADCNT"];
    private static readonly string[] TlsKeys = ["SSL", "SSL_VERIFY_PEER", "CAPATH", "SERVER_CERT", "SERVER_PRIKEY", "SLAVE_CERT", "SLAVE_PRIKEY"];

    public static readonly IReadOnlyList<(string Section, string Key, string? Meaningless)> All =
    [
        .. Keys("GLOBAL", null, ["DELIVERMODE", "REPLICA", "PORT", "SSL_MIN_VER", .. TlsKeys]),
        .. Keys("GLOBAL", Words, "FILEVERSION", "DATE", "GROUP", "MODE"),
        .. Keys("GLOBAL", Process, "MAXCHMPX", "MAXMQSERVER", "MAXMQCLIENT", "MQPERATTACH", "MAXQPERSERVERMQ", "MAXQPERCLIENTMQ", "MAXMQPERCLIENT", "MAXHISTLOG",
            "RWTIMEOUT", "RETRYCNT", "CONTIMEOUT", "MQRWTIMEOUT", "MQRETRYCNT", "MQACK", "SOCKTHREADCNT", "MQTHREADCNT", "MAXSOCKPOOL", "SOCKPOOLTIMEOUT"),
        .. Keys("GLOBAL", Merge, "DOMERGE", "AUTOMERGE", "MERGETIMEOUT"),
        .. Keys("GLOBAL", Control, "CTLPORT", "SELFCTLPORT"),
        .. Keys("GLOBAL", Identity, "CHMPXIDTYPE", "SELFCUK"),
        .. Keys("GLOBAL", Nss, "NSSDB_DIR"),
        .. Keys("GLOBAL", Queue, "K2HFULLMAP", "K2HMASKBIT", "K2HCMASKBIT", "K2HMAXELE"),
        .. Keys("SVRNODE", null, ["NAME", "PORT", .. TlsKeys]),
        .. Keys("SVRNODE", Control, "CTLPORT"),
        .. Keys("SVRNODE", Identity, "CUK", "CUSTOM_ID_SEED", "ENDPOINTS", "CTLENDPOINTS", "FORWARD_PEERS", "REVERSE_PEERS"),
        .. Keys("SLVNODE", null, "NAME", "CAPATH", "SLAVE_CERT", "SLAVE_PRIKEY"),
        .. Keys("SLVNODE", Control, "CTLPORT"),
        .. Keys("SLVNODE", Identity, "CUK", "CUSTOM_ID_SEED", "ENDPOINTS", "CTLENDPOINTS", "FORWARD_PEERS", "REVERSE_PEERS"),
        .. Keys("K2HTPDTOR", null, "K2HTPDTOR_BROADCAST", "K2HTPDTOR_CHMPXCONF", "K2HTPDTOR_EXCEPT_KEY"),
        .. Keys("K2HTPDTOR", Archive, "K2HTPDTOR_FILE"),
        .. Keys("K2HTPDTOR", Queue, "K2HTPDTOR_FILTER_TYPE"),
        .. Keys("K2HFTFUSE", null, "BINTRANS", "EXPIRE", "TRANSLINECNT", "TRANSTIMEUP", "BYTELIMIT", "DTORCTP", "K2HFTFUSE_RULE_DIR", "K2HFTFUSE_RULE"),
        .. Keys("K2HFTFUSE", Queue, QueueKeys),
        .. Keys("K2HFTFUSE_RULE_DIR", null, "TARGET", "TRUNS", "OUTPUTFILE", "PLUGIN", "DEFAULTALL", "ALLOW", "DENY"),
        .. Keys("K2HFTFUSE_RULE", null, "TARGET", "TRUNS", "OUTPUTFILE", "PLUGIN", "DEFAULTALL", "ALLOW", "DENY"),
        .. Keys("K2HFTFUSESVR", null, "TYPE", "FILE_BASEDIR", "FILE_UNIFY", "FILE_TIMEFORM", "FORMAT", "PLUGIN", "TRANSCONF", "DTORCTP"),
        .. Keys("K2HFTFUSESVR", Sender, "BINTRANS"),
        .. Keys("K2HFTFUSESVR", Queue, QueueKeys),
    ];

    /// <summary>The sections that a file of K2HFTFUSE may have.</summary>
    public static readonly string[] Sections = [.. All.Select(k => k.Section).Distinct(StringComparer.Ordinal)];

    /// <summary>The keys of one section.</summary>
    public static string[] Of(string section) => [.. All.Where(k => k.Section == section).Select(k => k.Key)];

    private static IEnumerable<(string, string, string?)> Keys(string section, string? meaningless, params string[] keys) => keys.Select(k => (section, k, meaningless));
}
