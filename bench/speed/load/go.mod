module regkeeper.io/bench/load

go 1.24
