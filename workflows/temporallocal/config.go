package temporallocal

import (
	"fmt"
	"net"
	"strconv"
	"time"

	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/persistence/sql/sqlplugin/postgresql"
	"go.temporal.io/server/common/primitives"

	"github.com/hone-rl/hone"
)

const (
	loopback    = "127.0.0.1"
	clusterName = "active"
	// clusterID is written into the databases at the first start and must stay what it is.
	clusterID = "6b1ff2c5-74b4-4a52-9f0c-3b1d6f2c9a10"
	// historyShards is written there too. One process on one machine gains nothing from more.
	historyShards = 1
	// storeConnections bounds each of the two stores' connections. A private Postgres gives 100 in all.
	storeConnections = 10
)

// services are the four parts of a server in the order of their ports.
func services() []primitives.ServiceName {
	return []primitives.ServiceName{
		primitives.FrontendService, primitives.HistoryService, primitives.MatchingService, primitives.WorkerService,
	}
}

// store describes one database to the server.
func (p postgres) store(database string) *config.SQL {
	return &config.SQL{
		PluginName:        postgresql.PluginNamePGX,
		DatabaseName:      database,
		User:              p.user,
		Password:          p.password,
		ConnectAddr:       p.address,
		ConnectProtocol:   "tcp", // Not looked at.
		ConnectAttributes: p.parameters,
		MaxConns:          storeConnections,
		MaxIdleConns:      storeConnections,
		MaxConnLifetime:   time.Hour,
	}
}

func serverConfig(o Options, pg postgres, ports map[primitives.ServiceName]int) *config.Config {
	frontend := address(ports[primitives.FrontendService])
	parts := make(map[string]config.Service, len(ports))
	for _, name := range services() {
		parts[string(name)] = config.Service{RPC: config.RPC{GRPCPort: ports[name], BindOnIP: loopback}}
	}
	return &config.Config{
		Global: config.Global{Membership: config.Membership{MaxJoinDuration: 10 * time.Second, BroadcastAddress: loopback}},
		Persistence: config.Persistence{
			DefaultStore:     "main",
			VisibilityStore:  "visibility",
			NumHistoryShards: historyShards,
			DataStores: map[string]config.DataStore{
				"main":       {SQL: pg.store(o.Database)},
				"visibility": {SQL: pg.store(o.visibility())},
			},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10,
			MasterClusterName:        clusterName,
			CurrentClusterName:       clusterName,
			ClusterInformation: map[string]cluster.ClusterInformation{
				clusterName: {Enabled: true, InitialFailoverVersion: 1, RPCAddress: frontend, ClusterID: clusterID},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services:            parts,
		Archival: config.Archival{
			History:    config.HistoryArchival{State: "disabled"},
			Visibility: config.VisibilityArchival{State: "disabled"},
		},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: "disabled"},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: "disabled"},
		}},
		PublicClient: config.PublicClient{HostPort: frontend},
	}
}

// dynamicConfig tunes the server for one machine and one namespace.
func dynamicConfig() dynamicconfig.StaticClient {
	return dynamicconfig.StaticClient{
		// A new namespace is usable this long after it is registered; with the default of 2 s the first workflow waits seconds.
		dynamicconfig.NamespaceCacheRefreshInterval.Key(): 200 * time.Millisecond,
		// Nothing here calls home.
		dynamicconfig.EnableServerVersionCheck.Key(): false,
		// A few tasks a second need no partitions, and each costs forwarding between them.
		dynamicconfig.MatchingNumTaskqueueReadPartitions.Key():  1,
		dynamicconfig.MatchingNumTaskqueueWritePartitions.Key(): 1,
	}
}

// staticHosts names every part's address, which replaces the gossip by which a cluster finds its members.
func staticHosts(ports map[primitives.ServiceName]int) map[primitives.ServiceName]static.Hosts {
	hosts := make(map[primitives.ServiceName]static.Hosts, len(ports))
	for name, port := range ports {
		hosts[name] = static.SingleLocalHost(address(port))
	}
	return hosts
}

// freePorts picks a free port for each part, frontend as given unless that is 0. Another process may take one before the
// server does; the caller tries again.
func freePorts(frontend int) (map[primitives.ServiceName]int, error) {
	ports := make(map[primitives.ServiceName]int, len(services()))
	for _, name := range services() {
		want := 0
		if name == primitives.FrontendService {
			want = frontend
		}
		listener, err := net.Listen("tcp", address(want)) //nolint:noctx // it waits for nothing
		if err != nil {
			return nil, fmt.Errorf("temporal %s port %d on %s: %w: %w", name, want, loopback, err, hone.ErrConflict)
		}
		// All listeners stay open until every port is chosen, so that no port is chosen twice.
		defer func() { _ = listener.Close() }()           //nolint:gocritic // deferInLoop: that is the reason
		ports[name] = listener.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // every TCP listener has one
	}
	return ports, nil
}

func address(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }
