"""What tests of both flavours share: a scripted server, replies, facts, a table of calls, a clock."""
