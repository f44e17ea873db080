// A program that does nothing until it is told to end: what is left is what the runtime needs.
Thread.Sleep(Timeout.Infinite);
