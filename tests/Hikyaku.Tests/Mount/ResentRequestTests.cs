using System.Runtime.InteropServices;
using System.Text;
using Hikyaku.Fuse;
using Hikyaku.Log;
using Hikyaku.Mount;
using Xunit;

namespace Hikyaku.Tests.Mount;

/// <summary>A process that dies between doing and answering: the kernel sends the request again to the successor.</summary>
public sealed class ResentRequestTests
{
    private const ulong Resent = KernelEnd.Resent;

    [Fact]
    public void A_write_sent_again_is_appended_once()
    {
        using var kernel = new KernelEnd();
        var (_, handle) = kernel.Create("a.log", 2);
        Assert.Equal(0, kernel.Write(handle, 4, "one\n"));
        Assert.Equal(0, kernel.Write(handle, 6, "two\n"));
        kernel.Restart();
        Assert.Equal(0, kernel.Write(handle, 6 | Resent, "two\n"));
        Assert.Equal(1, kernel.Counters.Recognised);
        Assert.Equal(0, kernel.Write(handle, 8, "three\n"));
        Assert.Equal(["one\n", "two\n", "three\n"], kernel.Records());
        kernel.Stop();
        Assert.Equal("one\ntwo\nthree\n", File.ReadAllText(Path.Combine(kernel.Underneath, "a.log")));
    }

    [Theory]
    [InlineData(CommitLevel.Process)]
    [InlineData(CommitLevel.Strict)]
    public void Writes_sent_again_are_recognised_after_a_second_kill_as_well(CommitLevel level)
    {
        using var kernel = new KernelEnd(options => options with { CommitLevel = level });
        var (_, handle) = kernel.Create("a.log", 2);
        for (var unique = 4ul; unique <= 8; unique += 2)
            Assert.Equal(0, kernel.Write(handle, unique, $"{unique}\n"));
        // As if all three had been on their way at once, and none was answered.
        kernel.Restart(() => NothingAnswered(kernel));
        Assert.Equal(0, kernel.Write(handle, 4 | Resent, "4\n"));
        kernel.Restart();
        for (var unique = 6ul; unique <= 8; unique += 2)
            Assert.Equal(0, kernel.Write(handle, unique | Resent, $"{unique}\n"));
        Assert.Equal(0, kernel.Write(handle, 10, "10\n"));
        Assert.Equal(["4\n", "6\n", "8\n", "10\n"], kernel.Records());
    }

    [Fact]
    public void A_write_that_was_read_but_not_appended_is_appended_when_it_comes_again()
    {
        using var kernel = new KernelEnd();
        var (_, handle) = kernel.Create("a.log", 2);
        kernel.Restart();
        Assert.Equal(0, kernel.Write(handle, 6 | Resent, "two\n"));
        Assert.Equal(0, kernel.Counters.Recognised);
        Assert.Equal(["two\n"], kernel.Records());
    }

    [Fact]
    public void A_strict_write_sent_again_waits_for_its_commit()
    {
        using var kernel = new KernelEnd(static options => options with { CommitLevel = CommitLevel.Strict });
        var (_, handle) = kernel.Create("a.log", 2);
        Assert.Equal(0, kernel.Write(handle, 4, "one\n"));
        kernel.Restart(() => NothingAnswered(kernel));
        Assert.Equal(0, kernel.Write(handle, 4 | Resent, "one\n"));
        Assert.Equal(["one\n"], kernel.Records());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_create_sent_again_gives_the_same_node_and_handle(bool wasCutShort)
    {
        using var kernel = new KernelEnd();
        var first = kernel.Create("a.log", 2, flags: 0xC1);
        kernel.Restart(() => CutShort(kernel, wasCutShort));
        Assert.Equal(first, kernel.Create("a.log", 2 | Resent, flags: 0xC1));
        Assert.Equal(-Errno.EEXIST, kernel.Ask(Opcode.Create, 4, 1, KernelEnd.Bytes(new CreateIn { Flags = 0xC1, Mode = 0x81A4 }), KernelEnd.Name("a.log")).Error);
    }

    [Fact]
    public void An_open_sent_again_gives_the_same_handle()
    {
        using var kernel = new KernelEnd();
        var (node, _) = kernel.Create("a.log", 2);
        var first = kernel.Ask(Opcode.Open, 4, node, KernelEnd.Bytes(new OpenIn { Flags = 1 })).Payload;
        kernel.Restart();
        Assert.Equal(first, kernel.Ask(Opcode.Open, 4 | Resent, node, KernelEnd.Bytes(new OpenIn { Flags = 1 })).Payload);
        Assert.NotEqual(first, kernel.Ask(Opcode.Open, 6, node, KernelEnd.Bytes(new OpenIn { Flags = 1 })).Payload);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Names_are_made_and_removed_once(bool wasCutShort)
    {
        using var kernel = new KernelEnd();
        var (file, handle) = kernel.Create("file", 1000);
        (Opcode Opcode, byte[][] Body)[] operations =
        [
            (Opcode.MkDir, [KernelEnd.Bytes(new MkDirIn { Mode = 0x1ED }), KernelEnd.Name("dir")]),
            (Opcode.MkNod, [KernelEnd.Bytes(new MkNodIn { Mode = 0x11A4 }), KernelEnd.Name("fifo")]),
            (Opcode.Symlink, [KernelEnd.Name("link"), KernelEnd.Name("target")]),
            (Opcode.Link, [KernelEnd.Bytes(new LinkIn { NodeId = file }), KernelEnd.Name("hard")]),
            (Opcode.Rename, [KernelEnd.Bytes(new RenameIn { NewParent = 1 }), KernelEnd.Name("fifo"), KernelEnd.Name("pipe")]),
            (Opcode.Rename, [KernelEnd.Bytes(new RenameIn { NewParent = 1 }), KernelEnd.Name("link"), KernelEnd.Name("pipe")]),
            (Opcode.RmDir, [KernelEnd.Name("dir")]),
            (Opcode.Unlink, [KernelEnd.Name("pipe")]),
            (Opcode.Unlink, [KernelEnd.Name("hard")]),
            (Opcode.Unlink, [KernelEnd.Name("file")]),
        ];
        var unique = 2ul;
        foreach (var (opcode, body) in operations)
        {
            var first = kernel.Ask(opcode, unique, 1, body);
            Assert.Equal(0, first.Error);
            kernel.Restart(() => CutShort(kernel, wasCutShort));
            var second = kernel.Ask(opcode, unique | Resent, 1, body);
            Assert.Equal(0, second.Error);
            Assert.Equal(NodeOf(first.Payload), NodeOf(second.Payload));
            // As a new request it is refused for what it is.
            var error = kernel.Ask(opcode, unique + 2, 1, body).Error;
            Assert.Equal(opcode is Opcode.RmDir or Opcode.Unlink or Opcode.Rename ? -Errno.ENOENT : -Errno.EEXIST, error);
            unique += 4;
        }
        // The file was unlinked while open: it is still there for its opener.
        Assert.Equal(0, kernel.Write(handle, 2000, "still here\n"));
        Assert.Single(Directory.GetFileSystemEntries(kernel.Underneath));
        Assert.Equal(0, kernel.Ask(Opcode.Release, 2002, file, KernelEnd.Bytes(new ReleaseIn { Handle = handle })).Error);
        Assert.Empty(Directory.GetFileSystemEntries(kernel.Underneath));
    }

    [Fact]
    public void A_release_sent_again_closes_once()
    {
        using var kernel = new KernelEnd();
        var (node, handle) = kernel.Create("a.log", 2);
        kernel.Write(handle, 4, "one\n");
        Assert.Equal(0, kernel.Ask(Opcode.Release, 6, node, KernelEnd.Bytes(new ReleaseIn { Handle = handle })).Error);
        kernel.Restart();
        Assert.Equal(0, kernel.Ask(Opcode.Release, 6 | Resent, node, KernelEnd.Bytes(new ReleaseIn { Handle = handle })).Error);
        Assert.Equal(["one\n", "close"], kernel.Records());
    }

    [Fact]
    public void A_new_mount_closes_what_the_one_before_left_open_and_removes_hidden_files()
    {
        using var kernel = new KernelEnd();
        var (_, handle) = kernel.Create("a.log", 2);
        kernel.Write(handle, 4, "one\n");
        var (_, gone) = kernel.Create("gone.log", 6);
        kernel.Write(gone, 8, "two\n");
        Assert.Equal(0, kernel.Ask(Opcode.Unlink, 10, 1, KernelEnd.Name("gone.log")).Error);
        Assert.Equal(2, Directory.GetFileSystemEntries(kernel.Underneath).Length);
        kernel.Remount();
        Assert.Equal(-Errno.EBADF, kernel.Write(handle, 12, "three\n"));
        Assert.Equal(["one\n", "two\n", "close", "close"], kernel.Records());
        Assert.Equal("one\n", File.ReadAllText(Path.Combine(kernel.Underneath, "a.log")));
        Assert.Single(Directory.GetFileSystemEntries(kernel.Underneath));
    }

    [Fact]
    public void A_successor_keeps_what_its_predecessor_could_not_any_more()
    {
        using var kernel = new KernelEnd();
        var (node, handle) = kernel.Create("a.log", 2);
        kernel.Write(handle, 4, "one\n");
        kernel.Write(handle, 6, "two\n");
        kernel.Restart(() =>
        {
            using var state = MountState.TryOpen(kernel.StatePath)!;
            unsafe
            {
                state.Header->Kept = 1;
            }
            File.WriteAllText(Path.Combine(kernel.Underneath, "a.log"), "");
        });
        var (error, payload) = kernel.Ask(Opcode.GetAttr, 8, node, KernelEnd.Bytes(default(GetAttrIn)));
        Assert.Equal(0, error);
        Assert.Equal(8ul, MemoryMarshal.Read<AttrOut>(payload).Attr.Size);
        kernel.Write(handle, 10, "three\n");
        kernel.Stop();
        Assert.Equal("one\ntwo\nthree\n", File.ReadAllText(Path.Combine(kernel.Underneath, "a.log")));
    }

    [Theory]
    [InlineData("rename")]
    [InlineData("exchange")]
    [InlineData("directory")]
    [InlineData("unlink")]
    public void A_kill_after_a_name_was_changed_and_before_that_was_noted_loses_no_open_file(string operation)
    {
        using var kernel = new KernelEnd();
        var parent = MemoryMarshal.Read<EntryOut>(kernel.Ask(Opcode.MkDir, 2, 1, KernelEnd.Bytes(new MkDirIn { Mode = 0x1ED }), KernelEnd.Name("dir")).Payload).NodeId;
        var (node, handle) = kernel.Create("a.log", 4);
        var (other, otherHandle) = kernel.Create("b.log", 6);
        var (below, belowHandle) = kernel.Create("c.log", 8, parent: parent);
        var (opcode, moved, body) = operation switch
        {
            "rename" => (Opcode.Rename, node, [KernelEnd.Bytes(new RenameIn { NewParent = parent }), KernelEnd.Name("a.log"), KernelEnd.Name("new.log")]),
            "exchange" => (Opcode.Rename2, node, [KernelEnd.Bytes(new Rename2In { NewParent = 1, Flags = RenameFlags.Exchange }), KernelEnd.Name("a.log"), KernelEnd.Name("b.log")]),
            "directory" => (Opcode.Rename, parent, [KernelEnd.Bytes(new RenameIn { NewParent = 1 }), KernelEnd.Name("dir"), KernelEnd.Name("new")]),
            _ => (Opcode.Unlink, node, new[] { KernelEnd.Name("a.log") }),
        };
        Assert.Equal(0, kernel.Ask(opcode, 10, 1, body).Error);
        kernel.Restart(() =>
        {
            CutShort(kernel, true);
            using var state = MountState.TryOpen(kernel.StatePath)!;
            state.Move((uint)moved, 1, Encoding.UTF8.GetBytes(moved == parent ? "dir" : "a.log"), hidden: false);
            if (operation == "exchange")
                state.Move((uint)other, 1, "b.log"u8, hidden: false);
        });
        Assert.Equal(0, kernel.Ask(opcode, 10 | Resent, 1, body).Error);
        foreach (var (id, file, unique) in new[] { (node, handle, 12ul), (other, otherHandle, 14ul), (below, belowHandle, 16ul) })
        {
            Assert.Equal(0, kernel.Write(file, unique, $"{file}\n"));
            Assert.Equal(0, kernel.Ask(Opcode.FSync, unique + 20, id, KernelEnd.Bytes(new FSyncIn { Handle = file })).Error);
            var (error, payload) = kernel.Ask(Opcode.GetAttr, unique + 40, id, KernelEnd.Bytes(default(GetAttrIn)));
            Assert.Equal(0, error);
            Assert.Equal($"{file}\n".Length, (int)MemoryMarshal.Read<AttrOut>(payload).Attr.Size);
        }
        Assert.Equal(0, kernel.Counters.Unkept);
    }

    [Fact]
    public void A_file_that_is_there_behind_the_kernels_back_is_looked_up_again_and_not_emptied()
    {
        using var kernel = new KernelEnd();
        File.WriteAllText(Path.Combine(kernel.Underneath, "a.log"), "text");
        Assert.Equal(-Errno.ESTALE, kernel.Ask(Opcode.Create, 2, 1, KernelEnd.Bytes(new CreateIn { Flags = 0x241, Mode = 0x81A4 }), KernelEnd.Name("a.log")).Error);
        Assert.Equal("text", File.ReadAllText(Path.Combine(kernel.Underneath, "a.log")));
    }

    private static ulong NodeOf(byte[] payload) => payload.Length == 0 ? 0 : MemoryMarshal.Read<EntryOut>(payload).NodeId;

    // As if the kill had come before the answers were noted.
    private static unsafe void NothingAnswered(KernelEnd kernel)
    {
        using var state = MountState.TryOpen(kernel.StatePath)!;
        state.Header->Answered = 0;
    }

    // As if the process had died after the deed and before the answer was saved.
    private static unsafe void CutShort(KernelEnd kernel, bool wasCutShort)
    {
        using var state = MountState.TryOpen(kernel.StatePath)!;
        Assert.Equal(OperationStep.Done, state.Header->Operation.Step);
        if (wasCutShort)
            state.Header->Operation.Step = OperationStep.Started;
    }
}
