/* Contexts of objects that carry none. See label.h. */
#include "label.h"

const struct context *label_initial(const struct policydb *db, uint32_t sid)
{
	for (uint32_t i = 0; i < db->isid.count; i++)
		if (db->isid.at[i].sid == sid)
			return &db->isid.at[i].context;
	return NULL;
}

const struct context *label_port(const struct policydb *db, uint8_t protocol, uint16_t port)
{
	for (uint32_t i = 0; i < db->port.count; i++) {
		const struct portcon *p = &db->port.at[i];
		if (p->protocol == protocol && p->low <= port && port <= p->high)
			return &p->context;
	}
	return label_initial(db, SECINITSID_PORT);
}

static bool node_matches(const struct nodecon *n, const uint8_t *addr, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if ((addr[i] & n->mask[i]) != n->addr[i])
			return false;
	return true;
}

const struct context *label_node(const struct policydb *db, const uint8_t *addr, size_t len)
{
	const struct nodecon *list = len == 4 ? db->node.at : db->node6.at;
	uint32_t count = len == 4 ? db->node.count : db->node6.count;
	for (uint32_t i = 0; i < count; i++)
		if (node_matches(&list[i], addr, len))
			return &list[i].context;
	return label_initial(db, SECINITSID_NODE);
}

const struct context *label_netif(const struct policydb *db, const char *name)
{
	for (uint32_t i = 0; i < db->netif.count; i++)
		if (str_eq(db->netif.at[i].name, name))
			return &db->netif.at[i].context[0];
	return label_initial(db, SECINITSID_NETIF);
}

static const struct context *genfs_match(const struct policydb *db, const char *fstype,
                                         const char *path, uint32_t tclass)
{
	for (uint32_t i = 0; i < db->genfs.count; i++) {
		const struct genfs *g = &db->genfs.at[i];
		if (!str_eq(g->fstype, fstype))
			continue;
		for (uint32_t j = 0; j < g->count; j++)
			if ((!g->path[j].tclass || g->path[j].tclass == tclass) &&
			    str_prefix(path, g->path[j].path))
				return &g->path[j].context;
		return NULL;
	}
	return NULL;
}

const struct context *label_genfs(const struct policydb *db, const char *fstype, const char *path,
                                  uint32_t tclass)
{
	const struct context *c = genfs_match(db, fstype, path, tclass);
	return c ? c : label_initial(db, SECINITSID_UNLABELED);
}

const struct context *label_fs_use(const struct policydb *db, const char *fstype,
                                   uint32_t *behavior)
{
	for (uint32_t i = 0; i < db->fs_use.count; i++)
		if (str_eq(db->fs_use.at[i].fstype, fstype)) {
			*behavior = db->fs_use.at[i].behavior;
			return &db->fs_use.at[i].context;
		}
	const struct context *c = genfs_match(db, fstype, "/", db->dir_class);
	*behavior = c ? SECURITY_FS_USE_GENFS : SECURITY_FS_USE_NONE;
	return c ? c : label_initial(db, SECINITSID_UNLABELED);
}
