using System.Text.Json;
using Hikyaku.Status;
using Hikyaku.Transfer;
using Xunit;

namespace Hikyaku.Tests.Commands;

public sealed class StatusPageTests
{
    private static readonly InstanceStatus Example = new()
    {
        State = "/s",
        Process = 42,
        Processes = [new ProcessState("mount-m", 43, Running: false, DateTimeOffset.UnixEpoch)],
        Mounts =
        [
            new MountStatus
            {
                Name = "m", At = "/m", Writes = 10, Bytes = 2048, Opens = 1, Refused = 3, BlockedNow = 0, Recognised = 0, Unkept = 0,
                LogBytes = 1 << 20, QuotaBytes = 1 << 30, NextSequence = 11, CommittedSequence = 10,
                Sources = [new MountSourceStatus("a.log", 10, 2048, 3, 0, 0)],
            },
        ],
        Routes =
        [
            new RouteStatus(new PumpStatus
            {
                Name = "r", Route = "r", Log = "m", Output = "forward", Cursor = 5, LinesOut = 4, BytesOut = 100, ChunksInFlight = 1, LinesInFlight = 2,
                Losses = new Dictionary<string, long>(StringComparer.Ordinal) { ["damaged"] = 1, ["none of these"] = 0 },
                Sources = [new SourceStatus("h", "a.log", true, 4, 100, DateTimeOffset.UnixEpoch), new SourceStatus("h", "b.log", false, 9, 9, DateTimeOffset.UnixEpoch)],
                Servers = new ServersStatus("failover", "/s/list", "/s/list: it names no server"),
                Receivers =
                [
                    new ReceiverStatus("c:1", false, "connection refused", 4, 100, 1, 0) { Since = DateTimeOffset.UnixEpoch, Weight = 3 },
                    new ReceiverStatus("d:1", true, "", 0, 0, 0, 0) { Since = DateTimeOffset.UnixEpoch, IsStandby = true },
                    new ReceiverStatus("e:1", true, "", 0, 0, 2, 0) { IsLeaving = true },
                ],
            }, new QueueStatus(6, 6, 900, 2.5, Complete: true)),
        ],
        AbandonedCursors = ["/s/cursors/m/old.cursor"],
    };

    [Fact]
    public void The_page_tells_what_came_in_what_went_out_what_waits_and_what_was_lost()
    {
        var page = new StringWriter();
        StatusPage.Write(Example, page);
        Assert.Equal("""
            running   process 42, state /s
            PROBLEM   mount-m (process 43) is not running; what follows of it is from 00:00:00Z
            mount     m at /m: 10 writes, 2 KiB in; log 1 MiB of 1 GiB, 3 writes refused for want of room
              source  a.log: 10 writes, 2 KiB, 3 refused
            route     r from m to forward: 4 lines, 100 B out; 2 in flight in 1 chunks; 6 lines, 900 B queued, the oldest 2.5 s old
              LOSS    damaged: 1
              deliver failover; servers named by /s/list; PROBLEM: /s/list: it names no server
              to      c:1: NOT HEALTHY: connection refused since 1970-01-01 00:00:00Z, weight 3; 4 lines, 100 B, 1 chunk in flight
              to      d:1: healthy since 1970-01-01 00:00:00Z, standby; 0 lines, 0 B
              to      e:1: healthy, leaving; 0 lines, 0 B, 2 chunks in flight
              source  h:a.log: 4 lines, 100 B, last 1970-01-01 00:00:00Z
              other   1 sources that no pattern of this route matches
            PROBLEM   /s/cursors/m/old.cursor: no route uses this cursor, and it holds lines back; if they are not wanted, stop, remove this file, and start again

            """, page.ToString());
    }

    [Fact]
    public void The_same_comes_as_json_and_can_be_read_back()
    {
        var json = JsonSerializer.Serialize(Example, StatusJson.Default.InstanceStatus);
        Assert.Equal(json, JsonSerializer.Serialize(JsonSerializer.Deserialize(json, StatusJson.Default.InstanceStatus), StatusJson.Default.InstanceStatus));
        Assert.Equal(42, JsonDocument.Parse(json).RootElement.GetProperty("process").GetInt32());
    }
}
