using System.Text;
using Hikyaku.Forward;
using Hikyaku.Log;
using Hikyaku.Transfer.Delivery;
using Hikyaku.Transfer.Lines;
using Hikyaku.Transfer.Rules;
using Xunit;

namespace Hikyaku.Tests.Transfer;

/// <summary>Bytes that were written past the log and are read from where they stand.</summary>
public sealed class ExtentTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("hikyaku-extent-").FullName;
    private readonly WrittenLog _log;
    private readonly List<string> _reports = [];
    private readonly InterruptedDisk _disk = new();
    private readonly BackingFiles _files;

    public ExtentTests()
    {
        _files = new BackingFiles(_disk, _root);
        _log = new WrittenLog(WrittenLog.MakeBell(), Path.Combine(_root, "log"), new LogOptions { SegmentBytes = 256 << 10, CursorDirectory = _root, Cursors = ["route"] });
    }

    [Fact]
    public void Lines_of_extents_are_those_of_the_backing_file()
    {
        File.WriteAllText(Live(3), "one\ntwo\nthr" + "ee\nfour\n");
        _log.Extent("a.log", 1, 3, 0, 0, 11);
        _log.Extent("a.log", 1, 3, 0, 11, 19);

        Assert.Equal("one|two|three|four", ReadAll());
    }

    [Fact]
    public void A_close_ends_the_unfinished_line_of_an_extent_and_lets_go_of_the_file()
    {
        File.WriteAllText(Live(3), "one\nhalf");
        _log.Extent("a.log", 1, 3, 0, 0, 8);
        _log.Close("a.log", 1);

        Assert.Equal("one|half", ReadAll());
        Assert.Equal(0, _disk.CountOpen(Live(3)));
    }

    [Fact]
    public void Writes_and_extents_through_one_handle_make_lines_together()
    {
        File.WriteAllText(Live(3), "one\ntw");
        _log.Extent("a.log", 1, 3, 0, 0, 6);
        _log.Write("a.log", 1, "o\nthree\n");

        Assert.Equal("one|two|three", ReadAll());
    }

    [Fact]
    public void What_was_saved_before_the_file_was_cut_is_read_from_there()
    {
        File.WriteAllText(Saved(3, 0), "old 1\nold 2\n");
        File.WriteAllText(Live(3), "new 1\nnew 2\nnew 3\n");
        _log.Extent("a.log", 1, 3, 0, 0, 12);
        _log.Extent("a.log", 1, 3, 1, 0, 18);

        Assert.Equal("old 1|old 2|new 1|new 2|new 3", ReadAll());
    }

    [Fact]
    public void A_file_that_is_cut_between_the_read_and_the_look_is_read_again_from_what_was_saved()
    {
        File.WriteAllText(Live(3), "old 1\nold 2\n");
        _log.Extent("a.log", 1, 3, 0, 0, 12);
        _disk.AfterReading(Live(3), () =>
        {
            File.Copy(Live(3), Saved(3, 0));
            File.WriteAllText(Live(3), "new 1\nnew 2\n");
        });

        Assert.Equal("old 1|old 2", ReadAll());
    }

    [Fact]
    public void A_file_that_is_open_is_read_whatever_becomes_of_its_name()
    {
        File.WriteAllText(Live(3), "one\ntwo\n");
        _log.Extent("a.log", 1, 3, 0, 0, 4);
        using var reader = Reader();
        var first = new ListedChunk();
        reader.Fill(first, null);
        File.Delete(Live(3));
        _log.Extent("a.log", 1, 3, 0, 4, 8);
        var second = new ListedChunk();
        reader.Fill(second, null);

        Assert.Equal(("one", "two"), (first.Text, second.Text));
    }

    [Fact]
    public void Bytes_that_are_gone_are_counted_and_told_once_and_the_line_before_them_ends()
    {
        File.WriteAllText(Live(3), "one\ntw");
        _log.Extent("a.log", 1, 3, 0, 0, 10);
        _log.Extent("a.log", 1, 3, 0, 10, 20);
        _log.Write("a.log", 1, "next\n");

        Assert.Equal("one|tw|next", ReadAll(gone: 14));
        Assert.Single(_reports);
    }

    [Fact]
    public void What_every_reader_had_passed_is_not_read_again_by_one_that_comes_later()
    {
        File.WriteAllText(Live(3), "old 1\nold 2\n");
        _log.Extent("a.log", 1, 3, 0, 0, 12);
        PassedMark.Write(_log.Storage.Location, _log.Log.NextSequence);
        // All was delivered, so nothing was saved when the file was cut.
        File.WriteAllText(Live(3), "new 1\nnew 2\n");
        _log.Extent("a.log", 1, 3, 1, 0, 12);
        using var reader = Reader();
        var chunk = new ListedChunk();
        reader.Fill(chunk, null);
        Assert.Equal("new 1|new 2", chunk.Text);
        Assert.Empty(_reports);
    }

    [Fact]
    public void A_file_that_is_gone_is_a_loss_and_stops_nothing()
    {
        _log.Extent("a.log", 1, 3, 0, 0, 10);
        File.WriteAllText(Live(4), "four\n");
        _log.Extent("b.log", 2, 4, 0, 0, 5);

        Assert.Equal("four", ReadAll(gone: 10));
    }

    [Fact]
    public void A_log_whose_directory_of_backing_files_was_not_named_waits()
    {
        _log.Extent("a.log", 1, 3, 0, 0, 10);
        using var reader = new LineReader(_log.Storage, "agent", new PathMatch([]), null, _reports.Add);
        reader.Seek(LogPosition.Start, []);

        Assert.Throws<IOException>(() => reader.Fill(new ListedChunk(), null));
        Assert.Equal(0, reader.Gone);
    }

    [Fact]
    public void A_directory_that_is_away_is_no_loss()
    {
        _log.Extent("a.log", 1, 3, 0, 0, 4);
        var directory = Path.Combine(_root, "away");
        using var files = new BackingFiles(_disk, directory);
        using (var reader = Reader(files: files))
        {
            Assert.Throws<IOException>(() => reader.Fill(new ListedChunk(), null));
            Assert.Equal(0, reader.Gone);
        }

        Directory.CreateDirectory(directory);
        File.WriteAllText(Path.Combine(directory, BackingFile.LiveName(3)), "one\n");
        using var again = Reader(files: files);
        var chunk = new ListedChunk();
        again.Fill(chunk, null);

        Assert.Equal("one", chunk.Text);
    }

    [Fact]
    public void Bytes_that_the_disk_cannot_read_time_after_time_are_lost_and_nothing_else_is()
    {
        File.WriteAllText(Live(3), "first\n" + new string('x', 8186) + "bad\n" + "last\n");
        _log.Extent("a.log", 1, 3, 0, 0, 6);
        _log.Extent("a.log", 1, 3, 0, 6, 8196);
        _log.Extent("a.log", 1, 3, 0, 8196, 8201);
        _disk.Bad = (8190, 8196);
        for (var attempt = 1; attempt < 5; attempt++)
        {
            using var reader = Reader();
            Assert.Throws<IOException>(() => reader.Fill(new ListedChunk(), null));
            Assert.Equal(0, reader.Gone);
        }

        // The page before the one that fails can be had.
        Assert.Equal($"first|{new string('x', 4090)}|last", ReadAll(gone: 4100));
        Assert.Contains("errno 5", Assert.Single(_reports), StringComparison.Ordinal);
    }

    [Fact]
    public void A_disk_that_recovers_before_the_last_try_has_lost_nothing()
    {
        File.WriteAllText(Live(3), "one\n");
        _log.Extent("a.log", 1, 3, 0, 0, 4);
        for (var round = 0; round < 3; round++)
        {
            _disk.Bad = (0, 4);
            for (var attempt = 1; attempt < 5; attempt++)
            {
                using var reader = Reader();
                Assert.Throws<IOException>(() => reader.Fill(new ListedChunk(), null));
            }

            _disk.Bad = default;
            Assert.Equal("one", ReadAll());
        }
    }

    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 1)]
    [InlineData(1, 3)]
    public void Stretches_without_a_line_end_that_are_as_long_as_the_longest_line_can_be_read_again(int lengths, int extents)
    {
        var size = (ulong)lengths * LineAssembler.LineBytesMax;
        File.WriteAllText(Live(3), new string('x', (int)size) + "rest\n" + string.Concat(Enumerable.Repeat("end\n", 200_000)));
        for (var i = 0; i < extents; i++)
            _log.Extent("a.log", 1, 3, 0, size * (ulong)i / (ulong)extents, size * (ulong)(i + 1) / (ulong)extents);
        _log.Extent("a.log", 1, 3, 0, size, size + 5 + 800_000);
        var parts = Parts(256 << 10);

        Assert.Equal(new string('x', (int)size) + "rest" + string.Concat(Enumerable.Repeat("end", 200_000)), string.Concat(parts.Select(static p => p.Lines)).Replace("|", ""));
        AssertRepeated(parts, 256 << 10);
    }

    [Fact]
    public void What_is_read_again_for_another_chunk_is_counted_once()
    {
        File.WriteAllText(Live(3), string.Concat(Enumerable.Repeat("line\n", 200_000)));
        _log.Extent("a.log", 1, 3, 0, 0, 1_000_000);
        _log.Extent("a.log", 1, 4, 0, 0, 10);
        _log.Write("a.log", 1, "one\ntwo\nhalf");
        using var reader = Reader();
        foreach (var bytes in new[] { 300_000, 100_000, 1_000_000_000, 1_000_000_000 })
        {
            // As when the server that it was made for is gone.
            reader.Seek(LogPosition.Start, []);
            while (reader.Fill(new ListedChunk { BytesMax = bytes }, null))
            {
                if (bytes < 1_000_000)
                    break;
            }
        }

        var source = Assert.Single(reader.Sources());
        Assert.Equal((200_002, 1_000_012), (source.Lines, source.Bytes));
        Assert.Equal(10, reader.Gone);
        Assert.Single(_reports);
    }

    [Fact]
    public void A_file_that_is_cut_between_two_pieces_of_an_extent_is_read_to_its_end_from_what_was_saved()
    {
        var old = string.Concat(Enumerable.Range(0, 100_000).Select(static i => $"old {i}\n"));
        File.WriteAllText(Live(3), old);
        _log.Extent("a.log", 1, 3, 0, 0, (ulong)old.Length);
        using var reader = Reader();
        var first = new ListedChunk { BytesMax = 100_000 };
        reader.Fill(first, null);
        // What is delivered is left out of the saved file.
        File.WriteAllText(Saved(3, 0), new string('\0', (int)reader.Position.Taken) + old[(int)reader.Position.Taken..]);
        File.WriteAllText(Live(3), "new\n");
        _log.Extent("a.log", 1, 3, 1, 0, 4);
        var rest = new ListedChunk();
        reader.Fill(rest, null);

        Assert.Equal((old + "new").Replace('\n', '|'), first.Text + "|" + rest.Text);
    }

    [Fact]
    public void A_file_that_is_cut_while_an_extent_is_read_is_read_on_from_what_was_saved()
    {
        var old = string.Concat(Enumerable.Range(0, 100_000).Select(static i => $"old {i}\n"));
        File.WriteAllText(Live(3), old);
        _log.Extent("a.log", 1, 3, 0, 0, (ulong)old.Length);
        // Between the second piece and the look for a saved file.
        _disk.AfterReading(Live(3), () => _disk.AfterReading(Live(3), () =>
        {
            File.WriteAllText(Saved(3, 0), old);
            File.WriteAllText(Live(3), "new\n");
        }));

        Assert.Equal(old.TrimEnd().Replace('\n', '|'), ReadAll());
    }

    [Fact]
    public void Paths_that_no_pattern_matches_are_counted_and_not_read()
    {
        _log.Extent("a.txt", 1, 3, 0, 0, 10);
        using var reader = Reader("*.log");
        var chunk = new ListedChunk();
        reader.Fill(chunk, null);

        Assert.Equal((0, 0), (chunk.Lines, reader.Gone));
        Assert.Equal(10, Assert.Single(reader.Sources()).Bytes);
    }

    [Fact]
    public void A_disk_that_fails_is_no_loss()
    {
        File.WriteAllText(Live(3), "one\n");
        _log.Extent("a.log", 1, 3, 0, 0, 4);
        _disk.AfterReading(Live(3), static () => throw new IOException("input/output error"));
        using var reader = Reader();

        Assert.Throws<IOException>(() => reader.Fill(new ListedChunk(), null));
        Assert.Equal(0, reader.Gone);
    }

    [Fact]
    public void An_extent_longer_than_a_piece_is_divided_where_chunks_are_full_and_each_part_can_be_read_again()
    {
        var text = new StringBuilder();
        for (var i = 0; i < 90_000; i++)
            text.Append("line ").Append(i).Append(i % 1000 == 0 ? new string('x', 5000) : "").Append('\n');
        File.WriteAllText(Live(3), text.ToString());
        _log.Write("a.log", 1, "begun ");
        _log.Extent("a.log", 1, 3, 0, 0, (ulong)text.Length - 3);
        _log.Extent("a.log", 1, 3, 0, (ulong)text.Length - 3, (ulong)text.Length);
        var parts = Parts(100_000);

        Assert.True(parts.Count > 10);
        Assert.Equal("begun " + text.ToString().TrimEnd(), string.Join('\n', parts.Select(static p => p.Lines.Replace('|', '\n'))));
        AssertRepeated(parts, 100_000);
    }

    [Fact]
    public void More_files_than_are_kept_open_are_read_in_turn()
    {
        for (ulong i = 0; i < 100; i++)
            File.WriteAllText(Live(i), $"first {i}\nsecond {i}\n");
        var expected = new List<string>();
        foreach (var (from, name) in ((ulong, string)[])[(0, "first"), (1, "second")])
        {
            for (ulong i = 0; i < 100; i++)
            {
                var length = (ulong)$"first {i}\n".Length;
                _log.Extent("a.log", i, i, 0, from * length, from == 0 ? length : (2 * length) + 1);
                expected.Add($"{name} {i}");
            }
        }

        Assert.Equal(string.Join('|', expected), ReadAll());
        Assert.InRange(_disk.MostOpen, 2, 65);
    }

    public void Dispose()
    {
        _files.Dispose();
        _log.Dispose();
        Directory.Delete(_root, recursive: true);
    }

    private string Live(ulong file) => Path.Combine(_root, BackingFile.LiveName(file));

    private string Saved(ulong file, ulong generation) => Path.Combine(_root, BackingFile.SavedName(file, generation));

    private string ReadAll(long gone = 0)
    {
        using var reader = Reader();
        var chunk = new ListedChunk();
        while (reader.Fill(chunk, null))
        {
        }

        Assert.Equal(gone, reader.Gone);
        return chunk.Text;
    }

    // All of the log in chunks of that size.
    private List<(LogPosition From, LogPosition To, string Lines, byte[] Before)> Parts(int bytesMax)
    {
        using var reader = Reader();
        var parts = new List<(LogPosition From, LogPosition To, string Lines, byte[] Before)>();
        var tails = new ByteBuffer();
        while (true)
        {
            var chunk = new ListedChunk { BytesMax = bytesMax };
            var (from, before) = (reader.Position, tails.Written.ToArray());
            if (!reader.Fill(chunk, null))
                return parts;
            tails.Clear();
            reader.SaveTails(tails);
            parts.Add((from, reader.Position, chunk.Text, before));
        }
    }

    private void AssertRepeated(List<(LogPosition From, LogPosition To, string Lines, byte[] Before)> parts, int bytesMax)
    {
        foreach (var part in parts)
        {
            using var again = Reader(from: part.From, tails: part.Before);
            var chunk = new ListedChunk { BytesMax = bytesMax };
            while (again.Position < part.To && again.Fill(chunk, part.To))
            {
            }

            Assert.True(part.Lines == chunk.Text, $"{part.From} to {part.To}: {part.Lines.Length} bytes and then {chunk.Text.Length}");
            Assert.Equal(part.To, again.Position);
        }
    }

    private LineReader Reader(string match = "*", LogPosition? from = null, byte[]? tails = null, BackingFiles? files = null)
    {
        var reader = new LineReader(_log.Storage, "agent", new PathMatch([match]), null, _reports.Add) { Backing = files ?? _files };
        reader.Seek(from ?? LogPosition.Start, tails);
        return reader;
    }

    private sealed class ListedChunk : Chunk
    {
        private readonly StringBuilder _text = new();

        public int BytesMax { get; init; } = int.MaxValue;

        public override bool IsFull => Bytes >= BytesMax;

        public override bool IsOverfull => false;

        public override bool TryWriteNote(ByteBuffer target) => true;

        public string Text => _text.ToString();

        protected override void Pack(in LineBlock lines) => _text.Append(_text.Length > 0 ? "|" : "").Append(Encoding.UTF8.GetString(lines.Text).Replace('\n', '|'));
    }
}
