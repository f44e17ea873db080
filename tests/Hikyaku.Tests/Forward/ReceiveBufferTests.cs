using Hikyaku.Forward;
using Xunit;

namespace Hikyaku.Tests.Forward;

public sealed class ReceiveBufferTests
{
    private const int Large = 400 << 10;

    [Fact]
    public void The_beginning_of_a_message_takes_little_whatever_came_before()
    {
        using var buffer = Filled(new BufferBudget(16 << 20, static _ => { }, TimeProvider.System));
        Come(buffer, 8);
        Assert.True(buffer.TryMakeRoom(Large));

        Assert.True(buffer.Count + buffer.Room.Length <= 64 << 10);
    }

    [Fact]
    public void Behind_its_first_64_KiB_a_message_as_large_as_the_one_before_gets_all_of_its_room_at_once()
    {
        using var buffer = Filled(new BufferBudget(16 << 20, static _ => { }, TimeProvider.System));
        Assert.True(buffer.TryMakeRoom(Large));
        Come(buffer, 64 << 10);
        Assert.True(buffer.TryMakeRoom(Large));

        Assert.True(buffer.Count + buffer.Room.Length >= Large);
    }

    [Fact]
    public void Where_half_of_the_budget_is_used_memory_follows_the_bytes()
    {
        var budget = new BufferBudget(2 << 20, static _ => { }, TimeProvider.System);
        using var buffer = Filled(budget);
        Assert.True(budget.TryTake(1 << 20));
        Assert.True(buffer.TryMakeRoom(Large));
        Come(buffer, 64 << 10);
        Assert.True(buffer.TryMakeRoom(Large));

        Assert.True(buffer.Count + buffer.Room.Length <= 128 << 10);
    }

    // Has had a large message.
    private static ReceiveBuffer Filled(BufferBudget budget)
    {
        var buffer = new ReceiveBuffer(budget);
        Come(buffer, Large);
        buffer.Take(Large);
        Assert.True(buffer.TryMakeRoom(1));
        return buffer;
    }

    private static void Come(ReceiveBuffer buffer, int bytes)
    {
        for (var target = buffer.Count + bytes; buffer.Count < target; buffer.Add(Math.Min(buffer.Room.Length, target - buffer.Count)))
            Assert.True(buffer.TryMakeRoom(target));
    }
}
