using System.Net;
using System.Text;
using Hikyaku.Forward;

namespace Hikyaku.Config;

/// <summary>Who may connect, and how both ends of the Forward protocol prove who they are: TLS, shared keys, users, addresses.</summary>
/// <param name="checksFiles">False: certificates are not looked at, for what a running instance has accepted must not fail over a file that somebody replaces just now.</param>
internal sealed class SecurityReader(string file, bool checksFiles, Problems problems, List<string> notices)
{
    public static readonly string[] AdmissionKeys = ["tls", "shared_key", "shared_key_file", "users", "allow"];
    public static readonly string[] CredentialKeys = ["tls", "shared_key", "shared_key_file", "user", "password", "password_file"];
    public static readonly string[] ReceiverTlsKeys = ["cert", "key", "ca", "min"];
    public static readonly string[] SenderTlsKeys = ["ca", "cert", "key", "name", "min", "verify"];
    public static readonly string[] UserKeys = ["name", "password", "password_file"];

    private const int SecretBytesMax = 4096;

    // A PING with it, and with the proofs, must fit what is read of somebody unknown.
    private const int NameLengthMax = 255;

    private static readonly UTF8Encoding StrictUtf8 = new(false, throwOnInvalidBytes: true);

    private readonly string _folder = Path.GetDirectoryName(file)!;

    /// <summary>What the section receive.forward asks of peers; null: nothing.</summary>
    public AdmissionSettings? ReadAdmission(Section section)
    {
        section.RefuseEmpty(AdmissionKeys);
        var networks = new List<IPNetwork>();
        var names = new List<string>();
        const string Expected = "an address, a network such as 10.0.0.0/8, a host name, or a pattern such as web[1-9].example.com";
        foreach (var text in section.Texts("allow", Expected) ?? [])
            if (AllowList.TryParseNetwork(text.Text, out var network))
                networks.Add(network);
            else if (NodeNames.Expand(text.Text) is { } expanded && expanded.All(IsHostName))
                names.AddRange(expanded.Except(names, StringComparer.OrdinalIgnoreCase));
            else
                section.Expect(text, "allow", Expected);
        if (section.Find("allow") is WrittenList { Items: [] } nobody)
            section.Expect(nobody, "allow", $"at least one entry, or no {section.Path("allow")} for everybody");
        var settings = new AdmissionSettings
        {
            Tls = section.Find("tls") is { } tls ? ReadReceiverTls(new Section(tls, section.Path("tls"), problems, ReceiverTlsKeys)) : null,
            SharedKey = ReadSecret(section, "shared_key"),
            Users = ReadUsers(section),
            Networks = networks,
            Names = names,
        };
        if (settings.Users.Count > 0 && settings.SharedKey is null)
            problems.Add(section.Find("users")!, $"{section.Path("users")} needs {section.Path("shared_key")}: the Forward protocol has no users without one");
        NeedOpenSsl(section, settings.Tls is not null || settings.SharedKey is not null);
        return settings is { Tls: null, SharedKey: null, Users.Count: 0, Networks.Count: 0, Names.Count: 0 } ? null : settings;
    }

    /// <summary>What the section to.forward shows to servers, and asks of them; null: nothing.</summary>
    public CredentialSettings? ReadCredentials(Section section)
    {
        section.RefuseEmpty(CredentialKeys);
        var key = ReadSecret(section, "shared_key");
        var user = ReadName(section, "user");
        var password = ReadSecret(section, "password");
        if (user is not null && password is null)
            problems.Add(section.Find("user")!, $"{section.Path("user")} needs {section.Path("password")} or {section.Path("password_file")}");
        if (password is not null && user is null)
            problems.Add(section.Find("password") ?? section.Find("password_file")!, $"{section.Path("password")} needs {section.Path("user")}");
        if (user is not null && key is null)
            problems.Add(section.Find("user")!, $"{section.Path("user")} needs {section.Path("shared_key")}: the Forward protocol has no users without one");
        var tls = section.Find("tls") is { } node ? ReadSenderTls(new Section(node, section.Path("tls"), problems, SenderTlsKeys)) : null;
        NeedOpenSsl(section, tls is not null || key is not null);
        return tls is null && key is null ? null : new CredentialSettings
        {
            Tls = tls,
            SharedKey = key,
            User = user is not null && password is not null ? new ForwardUser(user, password) : null,
        };
    }

    private TlsSettings ReadReceiverTls(Section section)
    {
        section.RefuseEmpty("ca", "min");
        var tls = new TlsSettings
        {
            Certificate = section.Require("cert", "the receiver's certificate, a PEM file") is null ? null : ReadFile(section, "cert"),
            Key = section.Require("key", "the certificate's private key, a PEM file") is null ? null : ReadFile(section, "key"),
            Authorities = ReadFile(section, "ca"),
            Only13 = section.Choice("min", false, ("1.2", false), ("1.3", true)),
        };
        Check(section, tls);
        return tls;
    }

    private TlsSettings ReadSenderTls(Section section)
    {
        section.RefuseEmpty(SenderTlsKeys);
        var tls = new TlsSettings
        {
            Certificate = ReadFile(section, "cert"),
            Key = ReadFile(section, "key"),
            Authorities = ReadFile(section, "ca"),
            Name = section.Value<string?>("name", null, "a host name or address", static (string t, out string? v) => Uri.CheckHostName(v = t) is not UriHostNameType.Unknown),
            Only13 = section.Choice("min", false, ("1.2", false), ("1.3", true)),
            Verify = section.Choice("verify", true, ("on", true), ("off", false)),
        };
        if (tls.Certificate is null != tls.Key is null)
            problems.Add(section.Node, $"{section.Name} needs cert and key together");
        if (!tls.Verify)
        {
            notices.Add($"{section.Path("verify")} is off: whoever answers is taken for the receiver, and can read and keep all lines");
            if ((section.Find("ca") ?? section.Find("name")) is { } meaningless)
                problems.Add(meaningless, $"{section.Path("verify")} is off, so ca and name mean nothing; remove them, or verify");
        }
        Check(section, tls);
        return tls;
    }

    private void Check(Section section, TlsSettings tls)
    {
        if (!checksFiles || !TlsMaterial.IsAvailable || tls.Certificate is null != tls.Key is null)
            return;
        try
        {
            TlsMaterial.Load(tls);
            TellIfReadable(tls.Key);
        }
        catch (ForwardException e)
        {
            problems.Add(section.Node, $"{section.Name}: {e.Message}");
        }
    }

    private List<ForwardUser> ReadUsers(Section section)
    {
        var users = new List<ForwardUser>();
        const string Expected = "a list: [{ name: NAME, password: TEXT }]";
        if (section.Find("users") is not { } node)
            return users;
        if (node is not WrittenList { Items: not [] } list)
        {
            section.Expect(node, "users", Expected);
            return users;
        }
        for (var i = 0; i < list.Items.Count; i++)
        {
            var item = new Section(list.Items[i], $"{section.Path("users")}[{i}]", problems, UserKeys);
            item.Require("name", "the user's name");
            var name = ReadName(item, "name") ?? "";
            if (users.Exists(u => u.Name == name) && name is not "")
                problems.Add(item.Find("name")!, $"{item.Path("name")}: there are two users '{name}'");
            var password = ReadSecret(item, "password");
            if (password is null && item.Find("password") is null && item.Find("password_file") is null)
                problems.Add(item.Node, $"{item.Path("password")} is missing; expected password or password_file");
            users.Add(new ForwardUser(name, password ?? new Secret("")));
        }
        return users;
    }

    private static string? ReadName(Section section, string key) =>
        section.Value<string?>(key, null, $"a name of at most {NameLengthMax} characters", static (string t, out string? v) => (v = t).Length is > 0 and <= NameLengthMax);

    // From the configuration, or from the file that KEY_file names. Values are never shown.
    private Secret? ReadSecret(Section section, string key)
    {
        var fileKey = key + "_file";
        if (section.Find(key) is { } written)
        {
            if (section.Find(fileKey) is { } both)
                problems.Add(both, $"{section.Path(fileKey)} and {section.Path(key)} are given; keep one");
            if (written is not WrittenText { Text: not "" } text)
            {
                problems.Add(written, $"{section.Path(key)} is not a text; expected a text");
                return null;
            }
            TellIfReadable(file);
            return new Secret(text.Text);
        }
        if (section.Find(fileKey) is not { } node || ReadFile(section, fileKey) is not { } path)
            return null;
        try
        {
            if (new FileInfo(path).Length > SecretBytesMax)
            {
                problems.Add(node, $"{section.Path(fileKey)}: {path} is larger than {SecretBytesMax} bytes; this is no secret");
                return null;
            }
            var secret = StrictUtf8.GetString(File.ReadAllBytes(path)).TrimStart('\ufeff');
            secret = secret.EndsWith("\r\n", StringComparison.Ordinal) ? secret[..^2] : secret.EndsWith('\n') ? secret[..^1] : secret;
            if (secret.Length is 0)
                problems.Add(node, $"{section.Path(fileKey)}: {path} is empty");
            TellIfReadable(path);
            return new Secret(secret);
        }
        catch (DecoderFallbackException)
        {
            // Read leniently, most of it would be one and the same character.
            problems.Add(node, $"{section.Path(fileKey)}: {path} is not text in UTF-8; expected text (openssl rand -hex 32 makes some)");
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            problems.Add(node, $"{section.Path(fileKey)}: {path} cannot be read: {(e is FileNotFoundException or DirectoryNotFoundException ? "there is no such file" : e is UnauthorizedAccessException ? "no permission" : e.Message)}");
            return null;
        }
    }

    // Relative to the configuration file, as all paths.
    private string? ReadFile(Section section, string key) =>
        section.Value<string?>(key, null, "a path", (string t, out string? v) => (v = RealPath.IsPath(t) ? Path.GetFullPath(t, _folder) : null) is not null);

    private void TellIfReadable(string? path)
    {
        if (path is null || !File.Exists(path) || !File.GetUnixFileMode(path).HasFlag(UnixFileMode.OtherRead))
            return;
        var notice = $"{path} holds a secret, and every user of this machine may read it; chmod o-r {path}";
        if (!notices.Contains(notice, StringComparer.Ordinal))
            notices.Add(notice);
    }

    private void NeedOpenSsl(Section section, bool needed)
    {
        if (needed && !TlsMaterial.IsAvailable)
            problems.Add(section.Node, $"{section.Name}: TLS and shared keys need OpenSSL, and libssl.so.3 (package libssl3) is missing");
    }

    // What looks like an address and is none would be asked of DNS for ever.
    private static bool IsHostName(string text) =>
        text.Length <= 253 && Uri.CheckHostName(text) is UriHostNameType.Dns && text[(text.LastIndexOf('.') + 1)..].Any(char.IsAsciiLetter);
}
