using var output = new StreamWriter(Console.OpenStandardOutput()) { AutoFlush = true, NewLine = "\n" };
while (Console.In.ReadLine() is { } line)
    output.WriteLine(line.StartsWith('#') ? "" : line.ToUpperInvariant());
