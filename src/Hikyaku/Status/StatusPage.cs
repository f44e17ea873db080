using Hikyaku.Config;

namespace Hikyaku.Status;

/// <summary>An instance's status as a page for people.</summary>
internal static class StatusPage
{
    private const int SourcesMax = 20;

    public static void Write(InstanceStatus status, TextWriter page)
    {
        page.WriteLine(status.Process is { } process ? $"running   process {process}, state {status.State}" : $"NOT RUNNING, state {status.State}; what follows are its last words");
        foreach (var dead in status.Processes.Where(p => !p.Running && status.Process is not null))
            page.WriteLine($"PROBLEM   {dead.Name} (process {dead.Process}) is not running; what follows of it is from {dead.Written:HH:mm:ss}Z");
        foreach (var mount in status.Mounts)
            Write(mount, page);
        if (status.Receive is { } receive)
        {
            page.WriteLine($"receive   {receive.Listen}: {Lines(receive.Lines)}, {Quantity.Show(receive.Bytes)} in {receive.Chunks} chunks, {receive.Connections} connections now; "
                + $"{receive.Repeats} repeated, {receive.Refused} refused; log {Quantity.Show(receive.LogBytes)} of {Quantity.Show(receive.QuotaBytes)}{(receive.Full ? ", FULL" : "")}");
            if (receive.Admission is { } door)
                page.WriteLine($"  asks    {door.Asks}; {door.Inside} of the connections have passed; {door.Refused} were refused so far, {door.NotAllowed} came from addresses that are not allowed");
            Write(receive.Losses, page);
        }
        foreach (var route in status.Routes)
            Write(route, page);
        foreach (var cursor in status.AbandonedCursors)
            page.WriteLine($"PROBLEM   {cursor}: no route uses this cursor, and it holds lines back; if they are not wanted, stop, remove this file, and start again");
    }

    private static void Write(MountStatus mount, TextWriter page)
    {
        page.WriteLine($"mount     {mount.Name} at {mount.At}: {mount.Writes} writes, {Quantity.Show(mount.Bytes)} in; log {Quantity.Show(mount.LogBytes)} of {Quantity.Show(mount.QuotaBytes)}"
            + (mount.Refused > 0 ? $", {mount.Refused} writes refused for want of room" : "")
            + (mount.BlockedNow > 0 ? $", {mount.BlockedNow} WRITES WAIT FOR ROOM" : ""));
        Write(new Dictionary<string, long>(StringComparer.Ordinal)
        {
            ["writes carried but not kept in the file underneath"] = mount.Unkept,
            ["times a file written straight to the disk was cut from outside of the mount"] = mount.Passthrough?.Shrunk ?? 0,
            ["files that could not be looked at for what was written while nothing was mounted"] = mount.Unmounted?.Faults ?? 0,
            ["writes dropped because the log was full"] = mount.Sources.Sum(s => s.LostRecords),
        }, page);
        if (mount.Unmounted is { } unmounted)
            page.WriteLine($"  before  {unmounted.Files} files grew while nothing was mounted, {Quantity.Show(unmounted.Bytes)} of that taken up");
        if (mount.Passthrough is { } passed)
            page.WriteLine($"  passed  {passed.Open} files open, {Quantity.Show(passed.Bytes)} written straight to the disk"
                + (passed.SavedBytes > 0 ? $", {Quantity.Show(passed.SavedBytes)} set aside before files were cut" : "")
                + (passed.WaitingBytes > 0 ? $", {Quantity.Show(passed.WaitingBytes)} WAIT FOR ROOM in the log" : "")
                + (passed.NotPassed is { } why ? $"; NOT ALL: {why}" : ""));
        foreach (var source in mount.Sources.OrderByDescending(s => s.Bytes).Take(SourcesMax))
            page.WriteLine($"  source  {source.Path}: {source.Writes} writes, {Quantity.Show(source.Bytes)}"
                + (source.Refused > 0 ? $", {source.Refused} refused" : "") + (source.LostRecords > 0 ? $", {source.LostRecords} LOST" : ""));
        WriteRest(mount.Sources.Count, page);
    }

    private static void Write(RouteStatus route, TextWriter page)
    {
        var pump = route.Pump;
        page.WriteLine($"route     {pump.Name} from {pump.Log} to {pump.Output}: {Lines(pump.LinesOut)}, {Quantity.Show(pump.BytesOut)} out"
            + (pump.ChunksInFlight > 0 ? $"; {pump.LinesInFlight} in flight in {pump.ChunksInFlight} chunks" : "") + "; " + Describe(route.Queue));
        Write(pump.Losses, page);
        if (pump.Servers is { } servers && (servers.Deliver is not "random" || pump.Receivers.Count > 1 || servers.Problem.Length > 0 || pump.Receivers.Count is 0))
            page.WriteLine($"  deliver {servers.Deliver}; servers named by {servers.Source}" + (pump.Receivers.Count is 0 ? ": NONE AT PRESENT" : "")
                + (servers.Problem.Length > 0 ? $"; PROBLEM: {servers.Problem}" : ""));
        if (pump.DroppedByFilter > 0)
            page.WriteLine($"  filter  dropped {Lines(pump.DroppedByFilter)}");
        foreach (var receiver in pump.Receivers)
            page.WriteLine($"  to      {receiver.Name}: {(receiver.Healthy ? "healthy" : "NOT HEALTHY: " + receiver.Problem)}"
                + (receiver.Since is { } since ? $" since {since:yyyy-MM-dd HH:mm:ss}Z" : "")
                + (receiver.Weight > 1 ? $", weight {receiver.Weight}" : "") + (receiver.IsStandby ? ", standby" : "") + (receiver.IsLeaving ? ", leaving" : "")
                + $"; {Lines(receiver.Lines)}, {Quantity.Show(receiver.Bytes)}"
                + (receiver.ChunksInFlight > 0 ? $", {(receiver.ChunksInFlight is 1 ? "1 chunk" : $"{receiver.ChunksInFlight} chunks")} in flight" : "")
                + (receiver.Compressed > 0 ? $", {receiver.Compressed} slices compressed" : "") + (receiver.Removed > 0 ? $", {receiver.Removed} slices removed" : "")
                + (receiver.Repeats > 0 ? $", {receiver.Repeats} repeated" : ""));
        foreach (var source in pump.Sources.Where(s => s.Matched).OrderByDescending(s => s.Bytes).Take(SourcesMax))
            page.WriteLine($"  source  {source.Host}:{source.Path}: {Lines(source.Lines)}, {Quantity.Show(source.Bytes)}, last {source.Last:yyyy-MM-dd HH:mm:ss}Z"
                + (source.Denied > 0 ? $", {source.Denied} denied by rules" : "") + (source.TooLong > 0 ? $", {source.TooLong} TOO LONG" : "") + (source.Expired > 0 ? $", {source.Expired} EXPIRED" : ""));
        WriteRest(pump.Sources.Count(s => s.Matched), page);
        if (pump.Sources.Count(s => !s.Matched) is > 0 and var others)
            page.WriteLine($"  other   {others} sources that no pattern of this route matches");
    }

    private static void WriteRest(int sources, TextWriter page)
    {
        if (sources > SourcesMax)
            page.WriteLine($"  source  and {sources - SourcesMax} more (all with --json)");
    }

    private static void Write(IReadOnlyDictionary<string, long> losses, TextWriter page)
    {
        foreach (var (cause, count) in losses.Where(l => l.Value > 0))
            page.WriteLine($"  LOSS    {cause}: {count}");
    }

    private static string Describe(QueueStatus? queue) => queue switch
    {
        null => "no log yet",
        { Records: 0 } => "nothing queued",
        _ => $"{(queue.Complete ? "" : "at least ")}{Lines(queue.Lines)}, {Quantity.Show(queue.Bytes)} queued, the oldest {Quantity.Show(TimeSpan.FromSeconds(queue.OldestSeconds))} old",
    };

    private static string Lines(long lines) => lines is 1 ? "1 line" : $"{lines} lines";
}
