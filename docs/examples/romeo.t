# A client in Perl, tested with a server of its own:
#
#     apt install libnet-xmpp-perl
#     prove -v romeo.t

use strict;
use warnings;

use IO::Socket::UNIX;
use JSON::PP;
use Net::XMPP;
use Test::More;

my $PASSWORD = "moon";

# A server that ends with this process; it is ready when it has told where it is.
open my $output, "-|", "xmppd", "temporary", "--accounts", "romeo:$PASSWORD,juliet:$PASSWORD"
    or die "xmppd: $!";
my $server = decode_json(scalar <$output>);

# Give the server a command, such as "fault cut"; returns the rows of its answer.
sub tell_server {
    my ($command, %values) = @_;
    my $socket = IO::Socket::UNIX->new(Peer => $server->{control}) or die "control: $!";
    print $socket encode_json({ command => $command, arguments => \%values }), "\n";
    my @rows;
    while (defined(my $line = <$socket>)) {
        my $answer = decode_json($line);
        die "$answer->{error}\n" if $answer->{error};
        push @rows, $answer->{row} if $answer->{row};
        last if $answer->{done};
    }
    return @rows;
}

# A connection, and what came of its login: "ok", or an error.
sub log_in {
    my ($name) = @_;
    my $client = Net::XMPP::Client->new;
    $client->Connect(
        hostname      => $server->{host},
        port          => $server->{port},
        componentname => $server->{domain},
        tls           => 1,
        ssl_ca_path   => $server->{certificate},
        srv           => 0,
        timeout       => 20,
    ) or return ($client, "no connection");
    my @result = $client->AuthSend(
        username => $name, password => $PASSWORD, resource => "test");
    return ($client, $result[0] // "no answer");
}

my ($romeo, $result) = log_in("romeo");
is $result, "ok", "romeo logs in";
(my $juliet, $result) = log_in("juliet");
is $result, "ok", "juliet logs in";

# Net::XMPP overlooks what comes right behind something else, so each thing is waited for.
my ($present, $heard);
$juliet->SetCallBacks(
    presence => sub { $present = 1 },
    message  => sub { $heard = $_[1]->GetBody },
);
$juliet->PresenceSend;
for (1 .. 20) { last if $present or not defined $juliet->Process(1) }
$romeo->MessageSend(to => 'juliet@localhost/test', type => "chat", body => "wherefore?");
for (1 .. 20) { last if defined $heard or not defined $juliet->Process(1) }
is $heard, "wherefore?", "a message arrives";

tell_server("fault drop", address => "juliet", element => "message", direction => "got");
$romeo->MessageSend(to => 'juliet@localhost/test', type => "chat", body => "lost");
$romeo->MessageSend(to => 'juliet@localhost/test', type => "chat", body => "found");
my ($seen) = tell_server("seen wait", address => "juliet", containing => "found");
like $seen->{xml}, qr/<body>found/, "what is behind a message that was lost arrives";
is scalar tell_server("seen list", address => "juliet", containing => "lost"), 0,
    "and that message does not";

tell_server("fault login", address => "romeo", condition => "temporary-auth-failure");
(undef, $result) = log_in("romeo");
ok $result ne "ok", "a login is refused";
(undef, $result) = log_in("romeo");
is $result, "ok", "and the next one is not";

tell_server("fault cut", address => "juliet");
my $alive = 1;
for (1 .. 20) { last unless $alive = defined $juliet->Process(1) }
ok !$alive, "a client notices that its connection is gone";

eval { tell_server("fault nap", address => "romeo") };
like $@, qr/fault nap/, "a fault that there is not is refused by its name";

kill TERM => $server->{pid};
done_testing;
