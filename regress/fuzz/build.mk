# One libFuzzer target for each parser and session core.
