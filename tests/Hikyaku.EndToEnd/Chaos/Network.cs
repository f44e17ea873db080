using System.Diagnostics;
using System.Globalization;
using Hikyaku.EndToEnd.Stage;

namespace Hikyaku.EndToEnd.Chaos;

/// <summary>
/// Hosts that are really separate: a network namespace each, with a cable to one switch in a namespace of its own. The names are
/// of this run only, and nothing of the machine's own network is touched.
/// </summary>
internal sealed class Network : IDisposable
{
    private const string NamesBegin = "hikyaku-test-";
    private const string Namespaces = "/run/netns";

    private readonly string _name = $"{NamesBegin}{Environment.ProcessId}-{Random.Shared.Next(0x1000):x3}";
    private readonly List<string> _hosts = [];

    public Network(params string[] hosts)
    {
        RemoveThoseOfTheDead();
        try
        {
            Add(Switch);
            Ip($"-n {Switch} link add bridge type bridge");
            Ip($"-n {Switch} link set bridge up");
            foreach (var host in hosts)
            {
                var space = Add(NamespaceOf(host));
                _hosts.Add(host);
                Ip($"link add eth0 netns {space} type veth peer name {host} netns {Switch}");
                Ip($"-n {Switch} link set {host} master bridge up");
                Ip($"-n {space} addr add {Address(host)}/24 dev eth0");
                Ip($"-n {space} link set lo up");
                Ip($"-n {space} link set eth0 up");
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>What <see cref="Disturb"/> does with this kernel.</summary>
    public string Quality { get; private set; } = "delay, loss, doubles, disorder";

    public string Address(string host) => $"10.99.0.{_hosts.IndexOf(host) + 1}";

    /// <summary>The words before a command line that run it on this host; the process keeps its id.</summary>
    public string[] Enter(string host) => ["nsenter", $"--net={Namespaces}/{NamespaceOf(host)}", "--"];

    /// <summary>Pulls a host's cable; it notices.</summary>
    public void Cut(string host) => Ip($"-n {Switch} link set {host} down");

    public void Restore(string host) => Ip($"-n {Switch} link set {host} up");

    /// <summary>The switch stops carrying what comes from and goes to a host; nobody notices.</summary>
    public void Silence(string host) => Run("bridge", $"-n {Switch} link set dev {host} state 0");

    public void Unsilence(string host) => Run("bridge", $"-n {Switch} link set dev {host} state 3");

    /// <summary>Spoils what goes to a host, as far as the kernel can: with netem, or else by a cable of a megabyte a second that loses what does not fit.</summary>
    public void Disturb(string host)
    {
        if (TryRun("tc", $"-n {Switch} qdisc replace dev {host} root netem delay 20ms 15ms loss 5% duplicate 2% reorder 10%", out _))
            return;
        Quality = TryRun("tc", $"-n {Switch} qdisc replace dev {host} root tbf rate 8mbit burst 16kb limit 24kb", out var said) ? "narrow" : $"nothing: {said.Trim()}";
    }

    public void Undisturb(string host) => TryRun("tc", $"-n {Switch} qdisc del dev {host} root", out _);

    public void Dispose()
    {
        foreach (var space in (string[])[.. _hosts.Select(NamespaceOf), Switch])
            TryRun("ip", $"netns del {space}", out _);
    }

    private string Switch => _name;

    private string NamespaceOf(string host) => $"{_name}-{host}";

    // A run that was killed leaves its namespaces behind.
    private static void RemoveThoseOfTheDead()
    {
        if (!Directory.Exists(Namespaces))
            return;
        foreach (var space in Directory.GetFiles(Namespaces, NamesBegin + "*").Select(f => Path.GetFileName(f)))
            if (int.TryParse(space.Split('-')[2], CultureInfo.InvariantCulture, out var pid) && !ProcessTable.IsAlive(pid))
                TryRun("ip", $"netns del {space}", out _);
    }

    private static string Add(string space)
    {
        Ip($"netns add {space}");
        return space;
    }

    private static void Ip(string arguments) => Run("ip", arguments);

    private static void Run(string program, string arguments)
    {
        if (!TryRun(program, arguments, out var said))
            throw new InvalidOperationException($"{program} {arguments}: {said}");
    }

    private static bool TryRun(string program, string arguments, out string said)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true, RedirectStandardOutput = true })!;
        said = process.StandardError.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode is 0;
    }
}
