# What the drills share. They need bash, `gcs-server` on the PATH, and an empty folder in which you are.
# A server is named by its data folder. All listen on free ports of this machine only.
export GCS_SERVER_PUBLIC_LISTEN=127.0.0.1:0 GCS_SERVER_PRIVATE_LISTEN=127.0.0.1:0

# Starts the server $1; further words are its settings. What it shows is in $1.txt, its log lines are in $1.log.
# The commands that follow go to it.
start() {
    rm -f "$1.txt"
    gcs-server --data-dir "$@" > "$1.txt" 2>> "$1.log" &
    echo $! > "$1.pid"
    until grep -qs 'root key' "$1.txt"; do
        kill -0 "$(cat "$1.pid")" || { cat "$1.log"; return 1; }
        sleep 0.1
    done
    shown public "$1" >> addresses
    ask "$1"
}

# What the server $2 showed when it started, such as `shown 'root key' data`.
shown() { sed -n "s/^$1: *//p" "$2.txt"; }

# The commands that follow go to the server $1.
ask() {
    GCS_SERVER_URL=$(shown private "$1") GCS_SERVER_PUBLIC_URL=$(shown public "$1")
    export GCS_SERVER_URL GCS_SERVER_PUBLIC_URL
}

# Waits until the server that commands go to says that everything works.
until_ready() { until curl -sf "$GCS_SERVER_URL/readyz"; do sleep 0.2; done; }

# Ends the server $1 in order, as for an upgrade: first the load balancer leaves it out.
stop() {
    shown public "$1" | grep -vxFf - addresses > left || :
    mv left addresses
    kill "$(cat "$1.pid")"
    wait "$(cat "$1.pid")" || :
    rm "$1.pid"
}

# Ends the server $1 as a power cut does.
cut_off() {
    kill -9 "$(cat "$1.pid")"
    wait "$(cat "$1.pid")" || :
    rm "$1.pid"
}

# The text of a member of the JSON in a file.
field() { sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p" "$2"; }

# After the first start of the server $1: the operator's token, a provider, and $2 codes in codes.txt.
open_codes() {
    GCS_SERVER_TOKEN=$(shown 'operator token' "$1")
    export GCS_SERVER_TOKEN
    gcs-server provider add 'Drill hospital' --output provider.txt
    gcs-server codes open --count "$2" --token "$(field token provider.txt)" | grep -v '^#' > codes.txt
}

# Makes the report number $1, with a code of its own, and sends it. The answer is in $1.answer.
report() {
    gcs-server element --output "$1.element"
    report_again "$1" > "$1.answer"
}

# Sends the report number $1 once more, as an app does that has got no answer.
report_again() {
    gcs-server report --code "$(sed -n "$1p" codes.txt)" --seed "$(field seed "$1.element")" \
        --time "$(sed -n 's/.*"time": *\([0-9]*\).*/\1/p' "$1.element")"
}

# The status of the report number $1, in one word.
status_of() {
    gcs-server report-status "$(field tracking_id "$1.answer")" > "$1.status" && field status "$1.status" | tail -n 1
}

# How many reports the log has, by the server's status.
reports() { gcs-server status | sed -n 's/^  "reports": *\([0-9]*\).*/\1/p'; }

# Sends reports from number $1 on, one after the other, as apps behind a load balancer do: to any of the servers, each
# report again until it is taken. Every line of `taken` has the time, the status (201 or 202) and the number of one. The
# file `enough` ends it.
traffic() {
    { set +x; } 2> /dev/null
    number=$1
    until [ -e enough ]; do
        gcs-server element --output "$number.element"
        item="{\"kind\": \"dp3t-unlinkable\", \"seed\": \"$(field seed "$number.element")\", \"epoch\": $(
            sed -n 's/.*"epoch": *\([0-9]*\).*/\1/p' "$number.element")}"
        body="{\"code\": \"$(sed -n "${number}p" codes.txt)\", \"items\": [$item]}"
        while :; do
            status=$(curl -s -m 20 -o "$number.answer" -w '%{http_code}' -H 'content-type: application/json' \
                -d "$body" "$(shuf -n 1 addresses)/v1/reports") || :
            case $status in 201 | 202) break ;; esac
            sleep 0.05
        done
        echo "$(date +%s.%N) $status $number" >> taken
        number=$((number + 1))
    done
}

# Ends the traffic once enough reports were taken, and says how many were, and the longest time between two of them. With
# too few reports the drill would have shown nothing.
end_traffic() {
    while kill -0 "$TRAFFIC" && [ "$(cat taken | wc -l)" -lt 10 ]; do sleep 0.2; done
    touch enough
    wait "$TRAFFIC"
    TRAFFIC=''
    rm enough
    awk 'NR > 1 && $1 - last > most { most = $1 - last } { last = $1 }
         END { printf "%d reports taken, the longest pause was %.1f s\n", NR, most; exit NR < 10 }' taken
}

# Makes sure that every report of the traffic is in the log, within some ten seconds.
expect_all() (
    { set +x; } 2> /dev/null
    while read -r _ _ number; do
        for _ in $(seq 100); do
            status=$(status_of "$number" 2> /dev/null) || status=unknown
            case $status in received | unknown) sleep 0.1 ;; *) break ;; esac
        done
        case $status in held | published) ;; *) echo "report $number is $status" && exit 1 ;; esac
    done < taken
)

# ---- PostgreSQL: database servers of the drill's own, named like files ----

PG=${PG:-$(ls -d /usr/lib/postgresql/*/bin 2> /dev/null | sort -V | tail -n 1)}

# Runs a program of PostgreSQL, which refuses to run as root.
pg() (
    program=$PG/$1
    shift
    cd /
    if [ "$(id -u)" = 0 ]; then set -- setpriv --reuid postgres --regid postgres --clear-groups "$program" "$@"
    else set -- "$program" "$@"; fi
    "$@"
)

# Makes a place for the database server $1: its folder and port are in $1.folder and $1.port.
database_place() {
    folder=$(mktemp -d) port=$((20000 + RANDOM % 10000))
    if [ "$(id -u)" = 0 ]; then chown postgres "$folder"; fi
    while (exec 3<> "/dev/tcp/127.0.0.1/$port") 2> /dev/null; do port=$((port + 1)); done
    echo "$folder" > "$1.folder"
    echo "$port" > "$1.port"
}

# Makes and starts the database server $1, with an empty database `log` of the user gcs.
database() {
    database_place "$1"
    pg initdb --auth trust --username gcs --no-sync --pgdata "$(cat "$1.folder")/data" > /dev/null
    database_up "$1"
    sql "$1" 'CREATE DATABASE log'
}

# Makes and starts the database server $2, a standby of $1, for which $1 waits with every commit from now on.
standby() {
    database_place "$2"
    pg pg_basebackup --checkpoint fast --no-sync --write-recovery-conf -h 127.0.0.1 -p "$(cat "$1.port")" -U gcs \
        --pgdata "$(cat "$2.folder")/data"
    database_up "$2"
    sql "$1" "ALTER SYSTEM SET synchronous_standby_names = '*'"
    sql "$1" 'SELECT pg_reload_conf()'
    until [ "$(sql "$1" 'SELECT sync_state FROM pg_stat_replication')" = sync ]; do sleep 0.1; done
}

database_up() {
    folder=$(cat "$1.folder")
    pg pg_ctl -D "$folder/data" -w -l "$folder/said" \
        -o "-p $(cat "$1.port") -k $folder -c listen_addresses=127.0.0.1" start > /dev/null
}

# Ends the database server $1, as when its machine fails.
database_down() { pg pg_ctl -D "$(cat "$1.folder")/data" -m immediate stop > /dev/null; }

# A standby becomes the primary.
promote() { pg pg_ctl -D "$(cat "$1.folder")/data" -w promote > /dev/null; }

sql() { pg psql -qAt -h 127.0.0.1 -p "$(cat "$1.port")" -U gcs -d postgres -c "$2"; }

# The setting `store` for a log on these database servers.
store_on() {
    hosts=''
    for name in "$@"; do hosts=$hosts${hosts:+,}127.0.0.1:$(cat "$name.port"); done
    echo "postgres://gcs@$hosts/log"
}

# ---- the end ----

# Ends whatever the drill has started, and removes the folders of the database servers.
clean_up() {
    if [ -n "${TRAFFIC:-}" ]; then kill "$TRAFFIC" || :; fi
    for file in *.pid; do if [ -e "$file" ]; then kill -9 "$(cat "$file")" || :; fi; done
    for file in *.folder; do
        if [ -e "$file" ]; then
            database_down "${file%.folder}" || :
            rm -rf "$(cat "$file")"
        fi
    done
} 2> /dev/null
