using System.Globalization;

namespace Hikyaku.Forward;

/// <summary>
/// The certificates and keys of one end. They are looked at whenever a connection is made, at most once a second, and otherwise
/// every hour; what cannot be used leaves in force what was there before.
/// </summary>
internal sealed class TlsFiles(TlsSettings settings, TimeProvider time, Action<string> report)
{
    private static readonly TimeSpan LookPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan WatchTime = TimeSpan.FromHours(1);
    private static readonly TimeSpan ExpiryNotice = TimeSpan.FromDays(14);

    private readonly Lock gate = new();
    private readonly HashSet<string> told = new(StringComparer.Ordinal);
    private TlsMaterial? current;
    private string[] texts = [];
    private string trouble = "";
    private bool troubleTold;
    private long looked;

    public TlsSettings Settings => settings;

    /// <summary>What is in force now. Throws <see cref="ForwardException"/> if nothing could ever be used.</summary>
    public TlsMaterial Current()
    {
        lock (gate)
        {
            if (current is not null && time.GetElapsedTime(looked) < LookPause)
                return current;
            looked = time.GetTimestamp();
            try
            {
                Look();
                trouble = "";
                troubleTold = false;
            }
            catch (ForwardException e)
            {
                if (current is null)
                    throw;
                // Files are replaced one after the other: what is half done is no trouble before the second look.
                if (string.Equals(trouble, e.Message, StringComparison.Ordinal) && !troubleTold)
                {
                    report($"{e.Message}; going on with what was there before");
                    troubleTold = true;
                }
                trouble = e.Message;
            }
            TellExpiry();
            return current!;
        }
    }

    /// <summary>Looks now and every hour, until cancelled: connections may last for months.</summary>
    public async Task WatchAsync(CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(WatchTime, time);
        do
        {
            try
            {
                Current();
            }
            catch (ForwardException e)
            {
                report($"{e.Message}; no connection can be made until this is mended");
            }
        }
        while (await timer.WaitForNextTickAsync(cancellation));
    }

    private void Look()
    {
        var found = TlsMaterial.ReadFiles(settings);
        if (current is not null && found.AsSpan().SequenceEqual(texts))
            return;
        var next = TlsMaterial.Load(settings, found);
        if (current is not null)
        {
            report($"{settings.Certificate ?? settings.Authorities}: changed; new connections use it from now on");
            told.Clear();
        }
        (current, texts) = (next, found);
    }

    private void TellExpiry()
    {
        var now = time.GetUtcNow();
        foreach (var (file, certificate) in current!.Certificates)
        {
            var end = new DateTimeOffset(certificate.NotAfter.ToUniversalTime());
            if (now < end - ExpiryNotice || !told.Add($"{certificate.Thumbprint} {now >= end}"))
                continue;
            var day = end.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
            report($"{file}: the certificate of {TlsMaterial.NameOf(certificate)} "
                + (now >= end ? $"expired on {day}; peers that verify it refuse it" : $"expires on {day}, in {(end - now).Days} days"));
        }
    }
}
