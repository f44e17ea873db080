using System.Net;

namespace Hikyaku.Forward;

/// <summary>Who may connect to a receiver, and how a peer and the receiver prove who they are. With nothing set: everybody, in plain text.</summary>
public sealed record AdmissionSettings
{
    /// <summary>Null: plain TCP.</summary>
    public TlsSettings? Tls { get; init; }

    /// <summary>What a peer must know; null: nothing.</summary>
    public Secret? SharedKey { get; init; }

    /// <summary>Of whom a peer must be one; empty: it needs no name. Means something only with <see cref="SharedKey"/>.</summary>
    public IReadOnlyList<ForwardUser> Users { get; init; } = [];

    /// <summary>Networks that may connect. Empty, and <see cref="Names"/> too: all.</summary>
    public IReadOnlyList<IPNetwork> Networks { get; init; } = [];

    /// <summary>Hosts that may connect, by any address their name has.</summary>
    public IReadOnlyList<string> Names { get; init; } = [];

    /// <summary>In words, without the secrets; empty: nothing is asked for.</summary>
    public string Describe()
    {
        var words = new List<string>();
        if (Tls is { } tls)
            words.Add($"TLS {(tls.Only13 ? "1.3" : "1.2 or newer")}{(tls.Authorities is null ? "" : " with a client certificate")}");
        if (SharedKey is not null)
            words.Add("a shared key");
        if (Users.Count > 0)
            words.Add(Users.Count == 1 ? "a user's name and password (1 user)" : $"a user's name and password ({Users.Count} users)");
        if (Networks.Count + Names.Count > 0)
            words.Add($"an allowed address ({Networks.Count} networks, {Names.Count} names)");
        return string.Join(", ", words);
    }
}

/// <summary>A user of the Forward protocol's handshake.</summary>
public sealed record ForwardUser(string Name, Secret Password);

/// <summary>How a sender proves who it is, and what the receiver must prove. With nothing set: plain text, and nothing.</summary>
public sealed record CredentialSettings
{
    /// <summary>Null: plain TCP.</summary>
    public TlsSettings? Tls { get; init; }

    /// <summary>What both ends must know; null: the receiver must not ask.</summary>
    public Secret? SharedKey { get; init; }

    /// <summary>Who this sender is, if the receiver asks. Means something only with <see cref="SharedKey"/>.</summary>
    public ForwardUser? User { get; init; }

    /// <summary>In words, without the secrets; empty: nothing.</summary>
    public string Describe()
    {
        var words = new List<string>();
        if (Tls is { } tls)
            words.Add($"TLS{(tls.Only13 ? " 1.3" : "")}{(tls.Verify ? $", verified by {tls.Authorities ?? "whom this system trusts"}" : ", NOT VERIFIED")}{(tls.Certificate is null ? "" : $", certificate {tls.Certificate}")}");
        if (SharedKey is not null)
            words.Add("shared key");
        if (User is { } user)
            words.Add($"user {user.Name}");
        return string.Join(", ", words);
    }
}

/// <summary>TLS at one end. Files are PEM, by absolute paths; they are read again when they change.</summary>
public sealed record TlsSettings
{
    /// <summary>The own certificate, followed by those that lead to its authority; null: none (senders only).</summary>
    public string? Certificate { get; init; }

    /// <summary>The private key of <see cref="Certificate"/>, without a pass phrase.</summary>
    public string? Key { get; init; }

    /// <summary>To whom the peer's certificate must lead: a root, and what is between. Null: at a receiver, peers need none; at a sender, whom this system trusts.</summary>
    public string? Authorities { get; init; }

    /// <summary>Nothing older than TLS 1.3; otherwise than 1.2.</summary>
    public bool Only13 { get; init; }

    /// <summary>The name in the receiver's certificate; null: the host it is dialled by. Senders only.</summary>
    public string? Name { get; init; }

    /// <summary>False: whoever answers is taken for the receiver. Senders only.</summary>
    public bool Verify { get; init; } = true;
}
