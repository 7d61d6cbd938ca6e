/* rounds.h - runs inside runs, wake-ups that are counted, and that nobody starves. Part of tests.h. */

/* ---- Runs inside runs --------------------------------------------------------------------------------------------- */

/* The style of old programs: a callback waits for an answer. */
static void wait_for_an_answer(void *arg) {
    struct client *client = arg;
    client_echo(client, "a whole question and answer");
}

struct nest {
    struct client *client;
    int done;
};
static void nest_in_our_callback(void *arg) {
    struct nest *nest = arg;
    wait_for_an_answer(nest->client);
    nest->done++;
}

TEST(our_loop_runs_in_callbacks_of_either) {
    struct peer *peer = PEER(.serve = NULL);
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new();
    struct nest nest = {.client = ready_client(loop, 0, peer)};
    CHECK_INT(attach(loop, host), 0);
    host_after(host, 0, nest_in_our_callback, &nest);
    HOST_UNTIL(host, nest.done == 1);
    CHECK_INT(evloop_post(loop, nest_in_our_callback, &nest), 0);
    HOST_UNTIL(host, nest.done == 2);
    evloop_timer_start(loop, 0.001, 0, nest_in_our_callback, &nest);
    HOST_UNTIL(host, nest.done == 3);
    end_loop(loop, nest.client);
    host_free(host);
}

#ifdef HOST_MAY_NEST
/* A dialog in a callback: everything goes on in it, also what this callback has just started. */
struct dialog {
    struct ev_loop *loop;
    HOST *host;
    struct client *client;
    int posted, fired, closed;
};
static void open_dialog(void *arg) {
    struct dialog *dialog = arg;
    CHECK_INT(evloop_post(dialog->loop, count, &dialog->posted), 0);
    HOST_UNTIL(dialog->host, dialog->posted);
    evloop_timer_start(dialog->loop, 0.002, 0, count, &dialog->fired);
    HOST_UNTIL(dialog->host, dialog->fired);
    struct conn_options o = options();
    struct client *invalid = client_open(dialog->loop, "127.0.0.1", "70000", &o);
    HOST_UNTIL(dialog->host, invalid->errors);
    struct bytes bytes = {0};
    conn_set_readable_callback(dialog->client->c, on_byte, &bytes);
    send_byte(dialog->client);
    HOST_UNTIL(dialog->host, bytes.n == 1);
    conn_set_readable_callback(dialog->client->c, NULL, NULL);
    client_close(invalid);
    settle(dialog->host);
    dialog->closed++;
}

TEST(the_host_runs_in_our_callback) {
    struct peer *peer = PEER(.serve = NULL);
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new();
    struct dialog dialog = {.loop = loop, .host = host, .client = ready_client(loop, 0, peer)};
    CHECK_INT(attach(loop, host), 0);
    evloop_timer_start(loop, 0, 0, open_dialog, &dialog);
    HOST_UNTIL(host, dialog.closed == 1);
    CHECK_INT(evloop_post(loop, open_dialog, &dialog), 0);
    HOST_UNTIL(host, dialog.closed == 2);
    end_loop(loop, dialog.client);
    host_free(host);
}
#endif

/* ---- Wake-ups ----------------------------------------------------------------------------------------------------- */

ALL_TRANSPORTS(nothing_wakes_up_while_nothing_happens) {
    struct peer *peer = peer_of(version, NULL, NULL);
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new();
    CHECK_INT(attach(loop, host), 0);
    struct conn_options o = options_of(version);
    struct client *client = client_open(loop, "127.0.0.1", peer_port(peer), &o);
    HOST_UNTIL(host, client->ready);
    struct bytes bytes = {0};
    conn_set_readable_callback(client->c, on_byte, &bytes);
    send_byte(client);
    HOST_UNTIL(host, bytes.n == 1);
    struct ticks ticks;
    /* Idle timers and watchers of all kinds. */
    int never = 0;
    evloop_timer_start(loop, 3600, 0, count, &never);
    evloop_timer_free(evloop_timer_start(loop, 0.001, 0, count, &never));
    struct evloop_signal *signal = evloop_signal_start(loop, SIGUSR1, on_usr1, &never);
    settle(host);
    int before = rounds, iterations = 0;
    tick(&ticks, host, 2, 50);
    for (; ticks.n < 50; iterations++) host_once(host);
    CHECK_INT(rounds, before);
    /* One for each tick, and one or two that came too early for a clock of milliseconds. */
    CHECK_CMP(iterations, <=, 3 * 50);
    CHECK_INT(never, 0);

    /* Each answer wakes up once. */
    for (int i = 0; i < 50; i++) {
        send_byte(client);
        HOST_UNTIL(host, bytes.n == 2 + i);
    }
    settle(host);
    CHECK_CMP(rounds - before, <=, 50);
    evloop_signal_free(signal);
    client_close(client);
    evloop_free(loop);
    host_free(host);
}

/* ---- Nobody starves ----------------------------------------------------------------------------------------------- */

TEST(a_busy_loop_of_ours_lets_the_host_live) {
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new();
    CHECK_INT(attach(loop, host), 0);
    struct again again = {loop, host, 0, 1000000000};
    CHECK_INT(evloop_post(loop, post_again, &again), 0);
    struct traffic traffic = {.to_send = 20};
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, traffic.fds), 0);
    host_watch(host, traffic.fds[0], on_traffic, &traffic);
    CHECK_INT(send(traffic.fds[1], "", 1, 0), 1);
    struct ticks ticks;
    tick(&ticks, host, 1, 10);
    int before = rounds, iterations = 0;
    for (; ticks.n < 10 || traffic.got < 20; iterations++) {
        int n = again.n;
        host_once(host);
        CHECK_CMP(again.n, <=, n + 2); /* a round, seldom two, in one iteration of the host's */
    }
    CHECK_CMP(again.n, >, 0);
    CHECK_CMP(rounds - before, <=, 2 * iterations);
    evloop_free(loop);
    host_free(host);
    close(traffic.fds[0]);
    close(traffic.fds[1]);
}

static void stay_readable(void *arg) { ++*(int *)arg; }

TEST(a_busy_host_lets_our_loop_live) {
    struct peer *peer = PEER(.serve = NULL);
    struct ev_loop *loop = evloop_new();
    HOST *host = host_new();
    struct client *client = ready_client(loop, 0, peer);
    struct echo echo = {.to_send = 100000};
    CHECK_INT(attach(loop, host), 0);
    int fds[2], calls = 0;
    CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    CHECK_INT(send(fds[1], "", 1, 0), 1);
    host_watch(host, fds[0], stay_readable, &calls); /* always ready: nobody reads it */
    start_echo(client, &echo);
    struct again again = {loop, host, 0, 20};
    CHECK_INT(evloop_post(loop, post_again, &again), 0);
    int fired = 0;
    evloop_timer_start(loop, 0.005, 0, count, &fired);
    HOST_UNTIL(host, echo.ended && again.n == 20 && fired);
    CHECK_CMP(calls, >, 0);
    end_loop(loop, client);
    host_free(host);
    close(fds[0]);
    close(fds[1]);
}
